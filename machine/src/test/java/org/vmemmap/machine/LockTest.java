// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A lock that knows which CPU has it. */
class LockTest {
  private final Machine machine = new ToyMachine(OddFormat.withLevels(3), 2).machine;
  private final Lock lock = new Lock(machine, "some_lock");
  private final List<String> heard = new ArrayList<>();

  /** Tells each point, and whether some CPU has the lock there. */
  private final class Witness implements YieldPoints.Listener {
    @Override
    public void reached(String what, long where) {
      heard.add(what + " " + where + " held=" + lock.held());
    }

    @Override
    public void touched(String what) {
      heard.add("touched " + what);
    }
  }

  /** CPU 1 takes and leaves it. Expect it to be CPU 1's meanwhile, and nobody's before and after. */
  @Test
  void lock_byOneCpu_isItsOwnUntilUnlock() {
    assertFalse(lock.held());
    machine.runOn(1);
    lock.lock();

    assertTrue(lock.heldHere());
    assertTrue(lock.needed());
    assertTrue(lock.held());
    machine.runOn(0);
    assertFalse(lock.heldHere());
    assertFalse(lock.needed());
    assertTrue(lock.held());
    machine.runOn(1);
    lock.unlock();
    assertFalse(lock.heldHere());
    assertFalse(lock.held());
  }

  /** Who listens may let another CPU run. Expect it to be asked before taking, and told behind leaving. */
  @Test
  void lock_listener_findsItFreeAtBothPoints() {
    machine.yields().listen(new Witness());
    lock.lock();
    lock.needed();
    lock.unlock();

    assertEquals(
        List.of(
            "lock some_lock 0 held=false", "touched some_lock", "unlock some_lock 0 held=false"),
        heard);
  }

  /** Leaving is left out. Expect nobody to be told, while the CPU does not have it any more. */
  @Test
  void unlock_leftOut_tellsNobody() {
    machine.yields().listen(new Witness());
    machine.omissions().drop("unlock some_lock"::equals);
    lock.lock();
    lock.unlock();

    assertEquals(List.of("lock some_lock 0 held=false"), heard);
    assertFalse(lock.held());
  }
}
