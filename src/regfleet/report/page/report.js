// Filters, search and folding. Without it the page shows everything.
(() => {
  "use strict";
  document.documentElement.classList.add("js"); // before the first paint: nothing flickers
  document.addEventListener("DOMContentLoaded", () => {
    const find = (id) => document.getElementById(id);
    const search = find("search");
    const shown = find("shown");
    const openAll = find("open-all");
    const nothing = document.querySelector(".nothing");
    const hosts = Array.from(find("host-table").tBodies, (body) => ({
      body,
      button: body.querySelector(".open"),
      marks: body.dataset.m.split(" "),
      groups: body.querySelector(".group").textContent.split(" "),
      visible: true,
      text: "",
    }));
    const count = (number) => `${number} host${number === 1 ? "" : "s"}`;
    let timer = 0;

    const matches = (host, mark, words) => {
      if (mark && !host.marks.includes(mark)) return false;
      return words.every((word) => {
        if (word.startsWith("group:")) return host.groups.includes(word.slice(6));
        host.text ||= host.body.textContent.toLowerCase();
        return host.text.includes(word);
      });
    };

    const filter = () => {
      const mark = document.querySelector("[name=status]:checked").value;
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let visible = 0;
      for (const host of hosts) {
        const show = matches(host, mark, words);
        visible += show;
        if (show !== host.visible) host.body.hidden = !show;
        host.visible = show;
      }
      const all = visible === hosts.length;
      shown.textContent = all ? count(visible) : `${visible} of ${count(hosts.length)}`;
      nothing.hidden = visible > 0;
    };

    const open = (host, yes) => {
      host.button.setAttribute("aria-expanded", yes);
      host.body.classList.toggle("opened", yes);
    };

    const showAll = (words = "") => {
      search.value = words;
      document.querySelector("[name=status][value='']").checked = true;
      filter();
    };

    // A link to a host finds it, whatever the filters say.
    const follow = () => {
      const row = /^#h\d+$/.test(location.hash) && document.querySelector(location.hash);
      const host = row && hosts.find((each) => each.body === row.parentNode);
      if (!host) return;
      if (!host.visible) showAll();
      open(host, true);
      row.scrollIntoView({ block: "center" });
      host.button.focus({ preventScroll: true });
    };

    search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(filter, 80);
    });
    document.querySelector(".tools").addEventListener("submit", (event) => event.preventDefault());
    document.querySelector(".tools").addEventListener("change", filter);
    find("clear").addEventListener("click", () => {
      showAll();
      search.focus();
    });
    find("host-table").addEventListener("click", (event) => {
      const button = event.target.closest(".open");
      const host = button && hosts.find((each) => each.button === button);
      if (host) open(host, button.getAttribute("aria-expanded") === "false");
    });
    openAll.addEventListener("click", () => {
      const yes = openAll.getAttribute("aria-pressed") === "false";
      for (const host of hosts) if (host.visible || !yes) open(host, yes);
      openAll.setAttribute("aria-pressed", yes);
    });
    for (const button of document.querySelectorAll(".unfold")) {
      const table = button.previousElementSibling.querySelector("table");
      const words = button.textContent;
      button.addEventListener("click", () => {
        const yes = table.classList.toggle("unfolded");
        button.setAttribute("aria-expanded", yes);
        button.textContent = yes ? words.replace("Show", "Hide") : words;
      });
    }
    document.addEventListener("click", (event) => {
      const card = event.target.closest("[data-group]");
      if (card) showAll(`group:${card.dataset.group}`);
      const link = event.target.closest("a[href^='#h']");
      if (link && link.hash === location.hash) {
        event.preventDefault(); // the same once more: there is no hashchange
        follow();
      }
    });
    window.addEventListener("hashchange", follow);
    if (search.value || document.querySelector("[name=status]:checked").value) filter(); // came back
    follow();
  });
})();
