// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mockito.Mockito.inOrder;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.times;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.verifyNoMoreInteractions;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.mockito.InOrder;

/** Who listens hears of each point, as it was named; nobody else is asked. */
class YieldPointsTest {
  private final YieldPoints yields = new YieldPoints();

  private void all() {
    yields.at("set_pte", 1);
    yields.lock("zone->lock", 2);
    yields.unlock("zone->lock", 3);
    yields.translated(4);
    yields.touched("nr_huge_pages");
    yields.note("a word");
    yields.moved(5, 6);
    yields.access(7, 8, true);
  }

  /** Each kind of point, with a listener. Expect it to hear of them in their order, and no more. */
  @Test
  void points_listener_hearsOfEach() {
    YieldPoints.Listener listener = mock(YieldPoints.Listener.class);
    yields.listen(listener);
    assertTrue(yields.heard());

    all();

    InOrder order = inOrder(listener);
    order.verify(listener).reached("set_pte", 1);
    order.verify(listener).lock("zone->lock", 2);
    order.verify(listener).unlock("zone->lock", 3);
    order.verify(listener).translated(4);
    order.verify(listener).touched("nr_huge_pages");
    order.verify(listener).noted("a word");
    order.verify(listener).moved(5, 6);
    order.verify(listener).access(7, 8, true);
    verifyNoMoreInteractions(listener);
  }

  /** The same with nobody, and after a listener has gone. Expect nothing to be told. */
  @Test
  void points_nobodyListens_tellNobody() {
    YieldPoints.Listener listener = mock(YieldPoints.Listener.class);
    yields.listen(listener);
    yields.listen(null);
    assertFalse(yields.heard());
    all();
    verifyNoMoreInteractions(listener);
  }

  /** A listener that knows steps only. Expect locks to be steps, and the rest to be none. */
  @Test
  void points_listenerOfSteps_hearsOfLocksToo() {
    List<String> steps = new ArrayList<>();
    yields.listen((what, where) -> steps.add(what + " " + where));
    all();
    assertEquals(List.of("set_pte 1", "lock zone->lock 2", "unlock zone->lock 3"), steps);
  }

  /** Locks, counters and exchanges of a machine. Expect a point before each, and their results. */
  @Test
  void machine_locksCountersExchanges_arePoints() {
    Machine machine = new ToyMachine(OddFormat.withLevels(3), 1).machine;
    YieldPoints.Listener listener = mock(YieldPoints.Listener.class);
    machine.yields().listen(listener);
    @Nullable String[] cells = {null};

    machine.lock("hugetlb_lock", 0);
    assertEquals(5, machine.add("free_huge_pages", 3, 2));
    machine.unlock("hugetlb_lock", 0);
    assertNull(machine.exchangeIfNull("tails", cells, 0, "mine"));
    assertEquals("mine", machine.exchangeIfNull("tails", cells, 0, "other"));

    assertEquals("mine", cells[0]);
    verify(listener).lock("hugetlb_lock", 0);
    verify(listener).touched("free_huge_pages");
    verify(listener).unlock("hugetlb_lock", 0);
    verify(listener, times(2)).reached("cmpxchg tails", 0);
  }
}
