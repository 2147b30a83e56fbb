# The hosts of the test fleet, and what the Vagrantfile's triggers do.

require "digest"
require "json"
require "open3"

module TestFleet
  REGISTRY_NAME = "registry.vagrant.test"

  # Kind of host: Debian suite, variant of host-image.sh, number where no variable says it. On a
  # bare one regfleet installs the engine.
  KINDS = {
    "bookworm" => ["bookworm", "docker", 1],
    "trixie" => ["trixie", "docker", 1],
    "sid" => ["sid", "docker", 1],
    "podman" => ["trixie", "bare", 1],
    "containerd" => ["trixie", "bare", 1],
  }.freeze
  MOST = 40 # of a kind: their addresses are blocks of one /24

  # Suites to boxes. There is none of sid: provision.sh adds its packages to the next older one.
  BOXES = {
    "libvirt" => { "bookworm" => "debian/bookworm64", "trixie" => "debian/trixie64" },
    "virtualbox" => { "bookworm" => "bento/debian-12", "trixie" => "bento/debian-13" },
  }.freeze

  # `wanted`: it is brought up by a plain `vagrant up`. `address`: on virtual machines' network.
  Host = Struct.new(:name, :suite, :variant, :address, :wanted, keyword_init: true)

  # What Vagrant shows without a backtrace.
  class Failed < Vagrant::Errors::VagrantError
    def initialize(text)
      @text = text
      super()
    end

    def error_message
      @text
    end
  end

  class << self
    # The registry host, then the clients.
    def hosts
      registry = Host.new(name: "reg1", suite: "bookworm", variant: "docker",
                          address: "192.168.56.10", wanted: true)
      [registry] + KINDS.each_with_index.flat_map do |(kind, (suite, variant, default)), index|
        wanted = number("REGFLEET_#{kind.upcase}", default, 0..MOST)
        (1..[wanted, *existing(kind)].max).map do |each|
          Host.new(name: "#{kind}#{each}", suite: suite, variant: variant,
                   address: "192.168.56.#{10 + index * MOST + each}", wanted: each <= wanted)
        end
      end
    end

    # A variable's value, which has to be in `range`.
    def number(variable, default, range)
      text = ENV.fetch(variable, "")
      value = text.empty? ? default : Integer(text, 10, exception: false)
      return value if range.cover?(value)

      raise Failed, "#{variable} is #{text.inspect}, not a number from #{range.min} to #{range.max}"
    end

    def box(provider, suite)
      boxes = BOXES.fetch(provider)
      ENV.fetch("REGFLEET_BOX", boxes.fetch(suite, boxes["trixie"]))
    end

    # Sees to the image of a host that is to be created in a container, and to its network; says
    # how the container is run.
    def prepare_container(env, machine, host)
      return unless machine.provider_name == :docker && machine.id.nil?

      names = host.name == "reg1" ? [REGISTRY_NAME] : []
      told = run("docker_host.py", fleet(env), host.name, host.suite, host.variant, *names)
      JSON.parse(told).each { |key, value| machine.provider_config.send("#{key}=", value) }
    end

    # The engine refuses as long as a host is on it, so the last one to go takes it along.
    def remove_network(env, machine)
      return unless machine.provider_name == :docker

      Open3.capture2e("docker", "network", "rm", "regfleet-#{fleet(env)}")
    end

    # Writes the inventory of the hosts that run now, or removes it where none does.
    def write_inventory(env)
      place = ENV.values_at("REGFLEET_INVENTORY").compact
      locked(env) do
        hosts = ssh_config(env)
        place.unshift("--remove") if hosts.empty?
        run("inventory.py", *place, input: hosts)
      end
    end

    private

    # The numbers of the hosts of a kind that have been created.
    def existing(kind)
      dotfile = File.expand_path(ENV["VAGRANT_DOTFILE_PATH"] || ".vagrant", __dir__)
      Dir.glob(File.join(dotfile, "machines", "#{kind}*", "*", "id"))
         .map { |path| path[%r{/machines/#{kind}(\d+)/}, 1].to_i }
    end

    # The name of this fleet's containers and network: another checkout has another one.
    def fleet(env)
      "vagrant-#{Digest::SHA256.hexdigest(env.local_data_path.to_s)[0, 8]}"
    end

    # As `vagrant ssh-config` prints it, which is another two seconds for each host that came up.
    def ssh_config(env)
      env.active_machines.map do |name, provider|
        told = env.machine(name, provider).ssh_info or next ""
        <<~HOST
          Host #{name}
            HostName #{told[:host]}
            User #{told[:username]}
            Port #{told[:port]}
            IdentityFile "#{told[:private_key_path].first}"

        HOST
      end.join
    end

    # Hosts of the provider docker come up at the same time.
    def locked(env)
      File.open(env.local_data_path) do |directory|
        directory.flock(File::LOCK_EX)
        yield
      end
    end

    # Runs a program of this directory; gives back what it prints, and shows what it tells people.
    def run(program, *arguments, input: "")
      environment = { "PYTHONPATH" => File.expand_path("../src", __dir__) }
      path = File.join(__dir__, program)
      said, status = Open3.capture2(environment, python, path, *arguments, stdin_data: input)
      return said if status.success?

      raise Failed, "vagrant/#{program} failed; what it said is above"
    end

    def python
      own = File.expand_path("../.venv/bin/python", __dir__)
      ENV.fetch("REGFLEET_PYTHON") { File.executable?(own) ? own : "python3" }
    end
  end
end
