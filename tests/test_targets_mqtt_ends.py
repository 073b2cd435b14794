"""What the ends of connections say."""

from bridge.targets.mqtt_ends import Ends, Suspect


def test_three_without_an_answer_blame_the_publication() -> None:
    ends = Ends()
    verdicts = [ends.judge(1.0, waiting=True, answered=False) for _ in range(6)]
    assert verdicts == [Suspect.NOBODY, Suspect.NOBODY, Suspect.PUBLICATION] * 2


def test_an_answer_clears_the_publication() -> None:
    ends = Ends()
    answers = [False, False, True, False, False]
    assert {ends.judge(1.0, waiting=True, answered=each) for each in answers} == {Suspect.NOBODY}


def test_three_short_ones_suspect_another_client_until_one_lasts() -> None:
    ends = Ends()
    lasted = [1.0, 1.0, 1.0, 1.0, 61.0, 1.0]
    verdicts = [ends.judge(each, waiting=False, answered=True) for each in lasted]
    other = Suspect.OTHER_CLIENT
    assert verdicts == [Suspect.NOBODY, Suspect.NOBODY, other, other, Suspect.NOBODY, Suspect.NOBODY]
