"""The agent's memory does not grow with the store, and what has not changed is not sent again.

256 MiB in the default run; HOLDFAST_TEST_HEAVY=1 (tests/run --heavy) makes it 2 GiB.
"""

import os
import unittest

import harness
from kill_test import fill

MEBIBYTES = 2048 if os.environ.get("HOLDFAST_TEST_HEAVY") else 256
PEAK_MEMORY_MAX_BYTES = 96 << 20
RUNS_UNTIL_IDLE_MAX = 100


class SizeTest(unittest.TestCase):

    def test_memory_is_bounded_and_a_second_run_sends_the_bundle_alone(self):
        with harness.Instance() as instance:
            instance.start()
            fill(instance, MEBIBYTES)
            first = self.run_of_backup(instance)
            peak = instance.agent.peak_memory_bytes()
            print(f"{MEBIBYTES} MiB: peak memory of the agent {peak / 2**20:.1f} MiB, "
                  f"the first run took {seconds(first):.3f} s")
            self.assertGreater(first.bytes_sent, MEBIBYTES << 20)
            self.assertLess(peak, PEAK_MEMORY_MAX_BYTES)

            # The store may flush and compact what was written for a while; then nothing changes.
            for _ in range(RUNS_UNTIL_IDLE_MAX):
                idle = self.run_of_backup(instance)
                if idle.destinations[0].objects_written == 1:
                    break
            print(f"a run without changes took {seconds(idle):.3f} s")
            self.assertEqual(idle.destinations[0].objects_written, 1, "the bundle alone")
            self.assertLess(idle.destinations[0].bytes_written, 1 << 20)

    def run_of_backup(self, instance):
        instance.backup_now()
        run = instance.runs()[0]
        self.assertEqual(run.state, harness.agent_pb2.Run.STATE_SUCCEEDED)
        return run


def seconds(run):
    return (run.end_time.ToMicroseconds() - run.start_time.ToMicroseconds()) / 1e6


if __name__ == "__main__":
    harness.main()
