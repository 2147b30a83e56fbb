"""What is known of several gateways of one registry."""

from regfleet.model.status import WrongLogins


def test_wrong_logins_at_all_gateways_are_counted():
    assert WrongLogins.of_all([WrongLogins(3, 1), WrongLogins(4, 2)]) == WrongLogins(7, 3)


def test_a_gateway_that_could_not_be_asked_leaves_them_unknown():
    assert WrongLogins.of_all([WrongLogins(3, 1), None]) is None
    assert WrongLogins.of_all([]) is None
