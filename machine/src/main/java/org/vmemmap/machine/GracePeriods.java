// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What readers without a lock may still look at, and what is to be done when the last of those that
 * were reading has left.
 */
public final class GracePeriods {
  private final Omissions omissions;
  private final Deque<Runnable> waiting = new ArrayDeque<>();
  private int readers;

  GracePeriods(Omissions omissions) {
    this.omissions = omissions;
  }

  /** A reader comes. Nests. */
  public void enter() {
    readers++;
  }

  /** A reader leaves; the last one ends the grace period. There must be one. */
  public void leave() {
    readers--;
    end();
  }

  /** How many readers there are. */
  public int readers() {
    return readers;
  }

  /** Does {@code work} once all who read now have left, which is at once when nobody does. */
  public void after(Runnable work) {
    if (omissions.drops(Omissions.CALL_RCU)) {
      work.run();
      return;
    }
    waiting.add(work);
    end();
  }

  /** How much work waits for readers. */
  public int waiting() {
    return waiting.size();
  }

  private void end() {
    while (readers == 0 && !waiting.isEmpty()) {
      waiting.remove().run();
    }
  }
}
