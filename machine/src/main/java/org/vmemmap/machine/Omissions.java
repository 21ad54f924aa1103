// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Calls of the machine's primitives that a test wants left out, to see whether a check notices. Who
 * runs on the machine calls them all the same and does not know.
 *
 * <pre>
 *   flush_all, flush_range, flush_tables
 *                            caches keep what they have
 *   smp_wmb                  orders nothing
 *   write_protect            a pte is entered writable
 *   clear                    memory keeps what was in it
 *   copy                     so does the destination
 *   atomic_add               a count in memory stays
 *   atomic_add_unless        it is added whatever is there
 *   add COUNTER              a counter stays
 *   test_bit NAME            a bit reads as 0
 *   cmpxchg WHERE            the cell is written whatever is in it
 *   call_rcu                 readers are not waited for
 *   lock NAME                others are not kept out
 *   unlock NAME              nor let in again
 * </pre>
 *
 * Costs one test of a field when nothing is left out.
 */
public final class Omissions {
  /** Fills with zeros: {@link Cpu#fill}. */
  public static final String CLEAR = "clear";

  /** {@link Cpu#copy}. */
  public static final String COPY = "copy";

  /** {@link Cpu#addInt}. */
  public static final String ATOMIC_ADD = "atomic_add";

  /** The test in {@link Cpu#addUnless}. */
  public static final String ADD_UNLESS = "atomic_add_unless";

  /** {@link Machine#add}; the counter follows. */
  public static final String ADD = "add";

  /** {@link Machine#testBit}; the bit's name follows. */
  public static final String TEST_BIT = "test_bit";

  /** {@link Machine#exchangeIfNull}; the place follows. */
  public static final String CMPXCHG = "cmpxchg";

  /** {@link Machine#lock}; the lock's name follows. */
  public static final String LOCK = "lock";

  /** {@link Machine#unlock}; the lock's name follows. */
  public static final String UNLOCK = "unlock";

  /** {@link GracePeriods#after}. */
  public static final String CALL_RCU = "call_rcu";

  /** {@link Machine#flushAll}. */
  public static final String FLUSH_ALL = "flush_all";

  /** {@link Machine#flushRange}. */
  public static final String FLUSH_RANGE = "flush_range";

  /** {@link Machine#flushTables}. */
  public static final String FLUSH_TABLES = "flush_tables";

  /** {@link Machine#writeBarrier}. */
  public static final String WRITE_BARRIER = "smp_wmb";

  /** {@link Machine#writeEntry} of a read-only pte. */
  public static final String WRITE_PROTECT = "write_protect";

  private @Nullable Predicate<String> dropped;

  Omissions() {}

  /** Leaves out the calls that {@code calls} accepts, from now on. It is asked at each call. */
  public void drop(Predicate<String> calls) {
    dropped = calls;
  }

  /** Leaves out nothing from now on. */
  public void dropNone() {
    dropped = null;
  }

  /** True when the call that is being made is to be left out. */
  boolean drops(String primitive) {
    return dropped != null && dropped.test(primitive);
  }

  /** The same for a primitive that has a name for what it works on. */
  boolean drops(String primitive, String of) {
    return dropped != null && dropped.test(primitive + " " + of);
  }
}
