"""The checker names what it must: each violation is planted once, and a clean history has none."""

import unittest

import sabotage
from checker import Account, Round

PARTITIONS = 2
BAD = 5  # the input that must be dead-lettered


class Fate:
    def __init__(self, bad):
        self._bad = bad

    def wrong_score(self, prediction):
        return "damaged" if self._bad else None if prediction["score"] == 1 else "score"

    def wrong_letter(self, value, _headers):
        return None if self._bad and value == b"x" else "letter"


class Checker(unittest.TestCase):
    def account(self, exactly_once=True, written=8):
        account = Account(PARTITIONS, lambda index: Fate(index == BAD), exactly_once)
        account.grow(written)
        return account

    def score(self, account, index, time_ms=0, **more):
        says = {"partition": index % PARTITIONS, "offset": index // PARTITIONS, "score": 1, **more}
        account.saw_prediction(b"%d" % index, index % PARTITIONS, time_ms, says)

    def letter(self, account, index, value=b"x", **more):
        headers = {"__connect.errors.partition": str(index % PARTITIONS),
                   "__connect.errors.offset": str(index // PARTITIONS), **more}
        account.saw_letter(b"%d" % index, 0, value, headers)

    def all_but(self, account, *left_out):
        for index in range(8):
            if index not in left_out:
                (self.letter if index == BAD else self.score)(account, index)

    def assert_only(self, account, kind, count=1):
        self.assertEqual(dict(account.violations), {kind: count}, account.texts)

    def test_a_clean_history_has_no_violation(self):
        account = self.account()
        for index in range(8):
            account.saw_input(b"%d" % index, index % PARTITIONS, index // PARTITIONS)
        self.all_but(account)
        account.attribute([Round(0, "none", 0)], final=True)
        self.assertEqual((account.frontier, account.scored, account.letters, account.inputs_read), (8, 7, 1, 8))
        account.abandon(8)
        self.assertFalse(account.violations)

    def test_a_stream_that_is_not_as_promised_ends_the_run(self):
        for key, partition, offset in ((b"3", 0, 1), (b"2", 0, 2), (None, 0, 0)):
            with self.assertRaises(AssertionError):
                self.account().saw_input(key, partition, offset)

    def test_a_record_that_is_passed_over_is_lost(self):
        account = self.account()
        self.all_but(account, 2)
        self.assertEqual((account.frontier, account.missing(8)), (2, [2]))
        account.abandon(8)
        self.assert_only(account, "lost")

    def test_a_dead_letter_that_is_missing_is_lost(self):
        account = self.account()
        self.all_but(account, BAD)
        account.abandon(8)
        self.assert_only(account, "lost")

    def test_what_is_not_committed_is_not_lost_although_its_partition_goes_on(self):
        account = self.account()
        self.all_but(account, 2)
        account.abandon(8, {0: 1, 1: 4})
        self.assert_only(account, "stands still")
        account = self.account()
        self.all_but(account, 2)
        account.abandon(8, {0: 2, 1: 4})
        self.assert_only(account, "lost")

    def test_a_partition_that_does_not_go_on_stands_still(self):
        account = self.account()
        self.all_but(account, 4, 6)
        account.abandon(8)
        self.assert_only(account, "stands still")

    def test_exactly_once_forgives_no_second_time(self):
        account = self.account()
        self.all_but(account)
        self.score(account, 7)
        self.letter(account, BAD)
        self.assert_only(account, "twice", 2)

    def test_at_least_once_repeats_after_an_event_only(self):
        account = self.account(exactly_once=False)
        self.all_but(account, 7)
        self.score(account, 7, time_ms=29_000)
        self.score(account, 6, time_ms=20_000)
        with_event, without = Round(1, "kill", 1000), Round(2, "none", 30_000)
        with_event.events.append((1000, "killed"))
        with_event.end_ms = 24_000
        account.attribute([with_event])
        self.assertEqual((with_event.duplicates, account.duplicates), (1, 1))
        self.score(account, 7, time_ms=30_500)
        account.attribute([with_event, without])
        self.assertFalse(account.violations)  # its round goes on: an event may be heard of later
        account.attribute([with_event, without, Round(3, "none", 40_000)])
        self.assertFalse(account.violations)
        account.attribute([without, Round(3, "none", 40_000), Round(4, "none", 50_000)])
        self.assert_only(account, "twice")

    def test_an_event_explains_nothing_before_it_nor_long_after(self):
        event = Round(1, "kill", 10_000)
        event.events.append((12_000, "killed"))
        for first_ms, again_ms in ((9_000, 11_000), (5_000, 13_000)):
            account = self.account(exactly_once=False)
            self.score(account, 0, time_ms=first_ms)
            self.score(account, 0, time_ms=again_ms)
            account.attribute([event], final=True)
            self.assert_only(account, "twice")

    def test_a_third_time_is_measured_from_the_second(self):
        account = self.account(exactly_once=False)
        rounds = [Round(1, "kill", 10_000), Round(2, "kill", 20_000)]
        for found in rounds:
            found.events.append((found.begin_ms, "killed"))
        for time_ms in (10_000, 19_000, 21_000):
            self.score(account, 0, time_ms=time_ms)
        account.attribute(rounds, final=True)
        self.assertFalse(account.violations)
        self.assertEqual([r.duplicates for r in rounds], [1, 1])

    def test_a_record_behind_a_later_one_is_out_of_order(self):
        for exactly_once in (True, False):
            account = self.account(exactly_once)
            self.all_but(account, 2)
            self.score(account, 2)
            account.attribute([Round(0, "none", 0)], final=True)
            self.assert_only(account, "wrong order")

    def test_scored_and_dead_lettered_is_both(self):
        account = self.account()
        self.all_but(account)
        self.letter(account, 0)
        self.assertEqual(account.violations["both"], 1)

    def test_wrong_numbers_and_wrong_letters(self):
        account = self.account()
        self.score(account, 0, score=2)
        self.score(account, BAD)
        self.assert_only(account, "wrong score", 2)
        account = self.account()
        self.letter(account, BAD, value=b"y")
        self.letter(account, 0)
        self.assert_only(account, "wrong letter", 2)

    def test_what_no_input_has_is_foreign(self):
        account = self.account()
        self.score(account, 8)
        account.saw_prediction(b"no number", 0, 0, {})
        account.saw_prediction(None, 0, 0, {})
        account.saw_prediction(b"3", 0, 0, {})
        self.score(account, 2, offset=3)
        self.letter(account, BAD, **{"__connect.errors.offset": "7"})
        self.assert_only(account, "foreign", 6)


class Sabotage(unittest.TestCase):
    def test_every_patch_still_finds_its_place(self):
        for name in sabotage.TRIALS:
            sabotage.apply(name, sabotage.copy_sources())


if __name__ == "__main__":
    unittest.main()
