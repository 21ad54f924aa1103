// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** Locks that are held, and that are not. */
class LockWatchTest {
  private final LockWatch watch = new LockWatch();

  /** Free pages are counted under the lock of their zone, then without. Expect the second. */
  @Test
  void touched_counterWithoutItsLock_breaksTheRule() {
    watch.lock("zone->lock", 1);
    watch.touched("nr_free_pages");
    watch.unlock("zone->lock", 1);
    assertEquals("", watch.rule());
    watch.touched("nr_free_pages");
    assertEquals(RuleBook.LOCKS, watch.rule());
    assertEquals("nr_free_pages is used without zone->lock", watch.found());
  }

  /** Boot counts the pages of an area without the lock. Expect that only later to break the rule. */
  @Test
  void touched_byBoot_mayGoWithoutSomeLocks() {
    watch.touched("available_count");
    assertEquals("", watch.rule());
    watch.rest();
    watch.touched("available_count");
    assertEquals(RuleBook.LOCKS, watch.rule());
  }

  /** A lock is taken twice. Expect a deadlock. */
  @Test
  void lock_neverLeft_isADeadlock() {
    watch.lock("hugetlb_lock", 0);
    watch.lock("hugetlb_lock", 0);
    assertEquals(RuleBook.DEADLOCK, watch.rule());
  }

  /** A lock is held when the machine rests. Expect its name. */
  @Test
  void rest_lockHeld_breaksTheRule() {
    watch.lock("resize_lock", 9);
    watch.rest();
    assertEquals("resize_lock 9 is never left", watch.found());
  }

  /** After boot a table is entered, under the lock of memory hotplug and under none. Expect the second. */
  @Test
  void reached_tableWrittenWithoutALock_breaksTheRule() {
    watch.reached("set_pmd", 0x1000);
    watch.rest();
    watch.lock("mem_hotplug_lock", 0);
    watch.reached("set_pmd", 0x1000);
    watch.unlock("mem_hotplug_lock", 0);
    assertEquals("", watch.rule());
    watch.reached("set_pmd", 0x1000);
    assertEquals("set_pmd at va=0x1000 without a lock", watch.found());
  }
}
