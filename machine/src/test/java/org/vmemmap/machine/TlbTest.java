// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The translation cache of a CPU, with pages of 4 KiB. It has 1024 entries, so pages that are 4 MiB
 * apart share one.
 */
class TlbTest {
  private static final long NONE = -1;
  private static final int PAGE_SHIFT = 12;
  private static final long PAGE = 1L << PAGE_SHIFT;
  private static final long SAME_SLOT = 1024 * PAGE;
  private static final long VA = 0x50_3000;

  private final Tlb tlb = new Tlb(PAGE_SHIFT);

  /** Enters the page at {@code va} as one whose frame's number is that of the page plus 0x10000. */
  private void insert(long va) {
    tlb.insert(va, target(va), true);
  }

  private static long target(long va) {
    return va + 0x1000_0000L;
  }

  private boolean cached(long va) {
    return tlb.lookup(va, false) == target(va);
  }

  /** A page and its neighbours. Expect the address in the frame, and nothing for the others. */
  @Test
  void lookup_onePageCached_keepsTheOffset() {
    tlb.insert(VA + 0x123, 0x8_0000, true);

    assertEquals(0x8_0000, tlb.lookup(VA, false));
    assertEquals(0x8_0fff, tlb.lookup(VA + 0xfff, true));
    assertEquals(NONE, tlb.lookup(VA - 1, false));
    assertEquals(NONE, tlb.lookup(VA + PAGE, false));
    assertEquals(NONE, tlb.lookup(VA + SAME_SLOT, false));
  }

  /** A page that may be read only. Expect it for reads; a write has to walk. */
  @Test
  void lookup_readOnly_isForReads() {
    tlb.insert(VA, 0x8_0000, false);

    assertEquals(0x8_0000, tlb.lookup(VA, false));
    assertEquals(NONE, tlb.lookup(VA, true));
  }

  /** Page 0 was never entered. Expect that an empty entry is not taken for it. */
  @Test
  void lookup_empty_findsNothing() {
    assertEquals(NONE, tlb.lookup(0, false));
    assertEquals(NONE, tlb.lookup(-1, false));
    assertEquals(NONE, tlb.lookup(VA, false));
  }

  /** Two pages that share an entry, and two that do not. Expect the later one of the two to win. */
  @Test
  void insert_sameEntry_replacesTheOlder() {
    insert(VA);
    insert(VA + PAGE);
    insert(VA + SAME_SLOT);

    assertFalse(cached(VA));
    assertTrue(cached(VA + PAGE));
    assertTrue(cached(VA + SAME_SLOT));
  }

  /**
   * Pages 0 to 4 and those that share their entries are cached in turn; a flush from inside page 1
   * to inside page 3.
   *
   * <pre>
   *   page    0    | 1     2     3    |  4
   *   flush        |  ==============  |
   * </pre>
   *
   * Expect pages 1 to 3 to go, 0 and 4 to stay, and none of another number.
   */
  @Test
  void flushRange_someCachedPages_dropsThoseInside() {
    for (int page = 0; page < 5; page++) {
      insert(VA + page * PAGE);
    }
    insert(VA + 2 * PAGE + SAME_SLOT);

    tlb.flushRange(VA + PAGE + 8, VA + 3 * PAGE + 1);

    assertTrue(cached(VA));
    assertFalse(cached(VA + PAGE));
    assertTrue(cached(VA + 2 * PAGE + SAME_SLOT));
    assertFalse(cached(VA + 3 * PAGE));
    assertTrue(cached(VA + 4 * PAGE));
  }

  /** Ranges of as many pages as there are entries, one fewer, and many more. Expect exact ends. */
  @ParameterizedTest
  @ValueSource(ints = {1023, 1024, 1025, 5000})
  void flushRange_manyPages_dropsThoseInside(int pages) {
    long end = VA + pages * PAGE;
    insert(VA - PAGE);
    insert(VA + 7 * PAGE);
    tlb.flushRange(VA, end);
    assertTrue(cached(VA - PAGE));
    assertFalse(cached(VA + 7 * PAGE));

    insert(VA);
    insert(end);
    tlb.flushRange(VA, end);
    assertFalse(cached(VA));
    assertTrue(cached(end));

    insert(end - PAGE);
    tlb.flushRange(VA, end);
    assertFalse(cached(end - PAGE));
    assertTrue(cached(end));
  }

  /** An empty range in the middle of a page, and of a large leaf. Expect it to touch nothing. */
  @Test
  void flushRange_empty_dropsNothing() {
    insert(VA);
    tlb.insert(VA + PAGE, target(VA + PAGE), true, PAGE_SHIFT + 2);

    tlb.flushRange(VA + 8, VA + 8);
    tlb.flushRange(VA + PAGE, VA + PAGE);

    assertTrue(cached(VA));
    assertTrue(cached(VA + PAGE));
  }

  /**
   * A leaf of four pages from 0x8000 of which the second is cached. Flushes of one page each.
   *
   * <pre>
   *   0x7000 | 0x8000   0x9000   0xa000   0xb000 | 0xc000
   *          |          cached                   |
   * </pre>
   *
   * Expect it to go with any page of the leaf, and with none outside.
   */
  @ParameterizedTest
  @CsvSource({
    "0x7000, true", "0x8000, false", "0x9000, false", "0xa000, false", "0xb000, false", "0xc000, true"
  })
  void flushRange_pageOfALargeLeaf_dropsAllOfIt(String flushed, boolean stays) {
    long va = Long.decode(flushed);
    insert(0x5000);
    tlb.insert(0x9000, target(0x9000), true, PAGE_SHIFT + 2);

    tlb.flushRange(va, va + PAGE);

    assertEquals(stays, cached(0x9000));
    assertTrue(cached(0x5000));
  }

  /** A large leaf above a flushed range, one below. Expect both to stay, one that it cuts to go. */
  @Test
  void flushRange_leavesAround_dropsThoseItReachesInto() {
    tlb.insert(0x1000, target(0x1000), true, PAGE_SHIFT + 2);
    tlb.insert(0x4000, target(0x4000), true, PAGE_SHIFT + 2);
    tlb.insert(0xf000, target(0xf000), true, PAGE_SHIFT + 2);
    tlb.insert(0x10000, target(0x10000), true, PAGE_SHIFT + 2);

    tlb.flushRange(0x7000, 0xd000);

    assertTrue(cached(0x1000));
    assertFalse(cached(0x4000));
    assertFalse(cached(0xf000));
    assertTrue(cached(0x10000));
  }

  /** The first page of a leaf of four is cached, its last one flushed. Expect it to go. */
  @Test
  void flushRange_lastPageOfALeaf_dropsItsFirst() {
    tlb.insert(0x4000, target(0x4000), true, PAGE_SHIFT + 2);

    tlb.flushRange(0x7000, 0x8000);

    assertFalse(cached(0x4000));
  }

  /** Three large leaves, entered from the last to the first. Expect each to go with its own flush. */
  @Test
  void flushRange_leavesInAnyOrder_dropsEach() {
    for (long va : new long[] {0x10000, 0x8000, 0x4000}) {
      tlb.insert(va, target(va), true, PAGE_SHIFT + 2);
    }

    tlb.flushRange(0x13000, 0x14000);
    assertFalse(cached(0x10000));
    assertTrue(cached(0x8000));
    tlb.flushRange(0x7000, 0x8000);
    assertFalse(cached(0x4000));
    tlb.flushRange(0x9000, 0xa000);
    assertFalse(cached(0x8000));
  }

  /** A large leaf does not spoil the bits of the address: a leaf of 2^40 bytes, and read-only. */
  @Test
  void insert_hugeLeaf_keepsAddressAndPermission() {
    tlb.insert(VA, 0xf_ffff_ffff_f000L, false, 40);
    assertEquals(0xf_ffff_ffff_fabcL, tlb.lookup(VA + 0xabc, false));
    assertEquals(NONE, tlb.lookup(VA, true));
    assertTrue(tlb.reaches(0xff_ffff_ffffL));

    tlb.flushRange(0xff_ffff_f000L, 0x100_0000_0000L);
    assertEquals(NONE, tlb.lookup(VA, false));
  }

  /** A flush of all. Expect nothing to be left, and large leaves to be as new afterwards. */
  @Test
  void flushAll_always_dropsEverything() {
    insert(VA);
    insert(VA + 1023 * PAGE);
    tlb.flushAll();

    assertFalse(cached(VA));
    assertFalse(cached(VA + 1023 * PAGE));
    assertFalse(tlb.reaches(target(VA) >>> PAGE_SHIFT));
    assertEquals(List.of(), all());
    insert(VA);
    assertTrue(tlb.reaches(target(VA) >>> PAGE_SHIFT));
  }

  /** Flushes of both kinds, also those that drop nothing. Expect each to be counted. */
  @Test
  void flushes_ofAnyKind_areCounted() {
    tlb.flushAll();
    tlb.flushRange(VA, VA);
    tlb.flushRange(VA, VA + 5000 * PAGE);

    assertEquals(3, tlb.flushes());
  }

  /** Where translations were made from. Expect it to be known from the start of recording, while cached. */
  @Test
  void cachedFrom_recorded_isKnownWhileCached() {
    insert(VA);
    tlb.setSource(VA, 0x9008);
    assertFalse(tlb.cachedFrom(0x9008));

    tlb.recordSources();
    assertFalse(cached(VA));
    insert(VA);
    tlb.setSource(VA, 0x9008);
    insert(VA + 1023 * PAGE);
    tlb.setSource(VA + 1023 * PAGE, 0x9010);

    assertTrue(tlb.cachedFrom(0x9008));
    assertTrue(tlb.cachedFrom(0x9010));
    assertFalse(tlb.cachedFrom(0x9018));
    assertFalse(tlb.cachedFrom(0));
    tlb.flushRange(VA, VA + PAGE);
    assertFalse(tlb.cachedFrom(0x9008));
  }

  /** Every entry of the cache, the first and the last, too. Expect its source to be found. */
  @Test
  void cachedFrom_firstAndLastEntry_areLookedAt() {
    tlb.recordSources();
    insert(0);
    tlb.setSource(0, 0x9008);
    insert(SAME_SLOT - PAGE);
    tlb.setSource(SAME_SLOT - PAGE, 0x9010);

    assertTrue(tlb.cachedFrom(0x9008));
    assertTrue(tlb.cachedFrom(0x9010));
  }

  /**
   * Runs of frames around a cached one, 0x10503, short ones and ones longer than the cache. Expect
   * it where the run holds it.
   */
  @ParameterizedTest
  @CsvSource({
    "0x10503, 1, 0x10503",
    "0x10504, 1, -1",
    "0x10500, 3, -1",
    "0x10500, 4, 0x10503",
    "0x10503, 0, -1",
    "0x10103, 1, -1",
    "0x10000, 1283, -1",
    "0x10000, 1284, 0x10503",
    "0x10504, 4096, -1",
    "0x10503, 1024, 0x10503",
    "0xfffe, 1023, -1",
  })
  void reached_runsAroundACachedFrame_findIt(String frame, long n, String found) {
    insert(VA);

    assertEquals(Long.decode(found), tlb.reached(Long.decode(frame), n));
  }

  /** A page was flushed alone, and another one was entered over it. Expect neither to be reached. */
  @Test
  void reached_dropped_isNotFound() {
    insert(VA);
    tlb.flushRange(VA, VA + PAGE);
    assertFalse(tlb.reaches(target(VA) >>> PAGE_SHIFT));

    insert(VA);
    tlb.insert(VA + SAME_SLOT, 0x8_0000, true);
    assertFalse(tlb.reaches(target(VA) >>> PAGE_SHIFT));
    assertTrue(tlb.reaches(0x80));
  }

  /** The first and the last entry, of which one may be written. Expect both visits to see them. */
  @Test
  void forEach_firstAndLastEntry_areVisited() {
    tlb.insert(0, 0x8_0000, true);
    tlb.insert(SAME_SLOT - PAGE, 0x9_0000, false, PAGE_SHIFT + 4);

    assertEquals(List.of("0x0 0x80000 true", "0x3ff000 0x90000 false"), all());
    List<Long> frames = new ArrayList<>();
    tlb.forEachFrame(frames::add);
    assertEquals(List.of(0x80L, 0x90L), frames);
  }

  private List<String> all() {
    List<String> seen = new ArrayList<>();
    tlb.forEach(
        (va, paddr, writable) ->
            seen.add("0x" + Long.toHexString(va) + " 0x" + Long.toHexString(paddr) + " " + writable));
    return seen;
  }
}
