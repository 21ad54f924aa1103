// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What a machine watches for beyond what hardware would notice. All are off at first; see {@link
 * Machine#check}.
 *
 * @param staleTranslation fault {@code stale-translation} when a cached translation is used that the
 *     page tables no longer give: a flush was forgotten
 * @param uninitialisedRead fault {@code uninitialised-read} when a word is read that was not written
 *     since the check was switched on
 * @param breakBeforeMake fault {@code break-before-make-violated} when an entry in use is changed to
 *     another one without passing through an invalid one and a flush, on an architecture that asks
 *     for it
 * @param accessible fault {@code freed-frame-access} when a program touches a frame whose owner this
 *     refuses; null accepts all
 * @param uncached fault {@code tlb-reaches-freed-frame} when a frame gets or leaves an owner that this
 *     accepts while the cache of a CPU leads into it; null for none
 */
public record Checks(
    boolean staleTranslation,
    boolean uninitialisedRead,
    boolean breakBeforeMake,
    @Nullable Predicate<FrameOwner> accessible,
    @Nullable Predicate<FrameOwner> uncached) {
  /** Watches for what the flags say, and for nothing else. */
  public Checks(
      boolean staleTranslation,
      boolean uninitialisedRead,
      boolean breakBeforeMake,
      @Nullable Predicate<FrameOwner> accessible) {
    this(staleTranslation, uninitialisedRead, breakBeforeMake, accessible, null);
  }

  /** Watches for nothing. */
  public static Checks none() {
    return new Checks(false, false, false, null);
  }

  /** Watches for stale translations and break-before-make, which need no knowledge of owners. */
  public static Checks translations() {
    return new Checks(true, false, true, null);
  }

  /** Watches for break-before-make only, which costs nothing when memory is read and written. */
  public static Checks entryWrites() {
    return new Checks(false, false, true, null);
  }

  /** True when each access is looked at, not only changes of tables and of owners. */
  boolean atAccesses() {
    return staleTranslation || accessible != null;
  }

  /** The same, and faults when a frame is touched whose owner {@code accessible} refuses. */
  public Checks withAccessible(Predicate<FrameOwner> newAccessible) {
    return new Checks(
        staleTranslation, uninitialisedRead, breakBeforeMake, newAccessible, uncached);
  }

  /** The same, with or without the check for words that were never written. */
  public Checks withUninitialisedRead(boolean value) {
    return new Checks(staleTranslation, value, breakBeforeMake, accessible, uncached);
  }

  /** The same, and faults when a cached frame comes from or goes to such an owner. */
  public Checks withUncached(Predicate<FrameOwner> newUncached) {
    return new Checks(
        staleTranslation, uninitialisedRead, breakBeforeMake, accessible, newUncached);
  }
}
