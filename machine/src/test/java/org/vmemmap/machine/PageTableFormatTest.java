// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** What a page-table format need not say itself. */
class PageTableFormatTest {
  private final PageTableFormat plain = new PlainFormat();

  /** The same, of a CPU that asks for break-before-make and has runs of 16 ptes, or of 2 pmds. */
  private static final class Runs extends PlainFormat {
    static final long CONTIGUOUS = 8;

    @Override
    public boolean breakBeforeMake() {
      return true;
    }

    @Override
    public boolean contiguous(long entry, int level) {
      return (entry & CONTIGUOUS) != 0;
    }

    @Override
    public int contiguousShift(int level) {
      return level == 0 ? 4 : 1;
    }
  }

  /** Entries of a format that says nothing about them. Expect them as they are. */
  @Test
  void entry_default_isTheWordInMemory() {
    assertEquals(5, plain.toMemory(5));
    assertEquals(5, plain.fromMemory(5));
    assertEquals(6, plain.writableLeaf(6));
  }

  /** A CPU of the common kind. Expect neither runs, nor breaks, nor flushes that keep tables. */
  @Test
  void habits_default_areThoseOfMostCpus() {
    assertFalse(plain.contiguous(-1, 0));
    assertEquals(0, plain.contiguousShift(0));
    assertFalse(plain.breakBeforeMake());
    assertFalse(plain.flushRangeKeepsTables());
  }

  /** Leaves of two sizes, and runs of them. Expect one translation to span the run. */
  @Test
  void span_leafAndRun_isTheSizeOfEither() {
    PageTableFormat runs = new Runs();

    assertEquals(12, plain.span(Runs.CONTIGUOUS, 0));
    assertEquals(12, runs.span(0x1000, 0));
    assertEquals(21, runs.span(0x20_0000, 1));
    assertEquals(16, runs.span(0x1000 | Runs.CONTIGUOUS, 0));
    assertEquals(22, runs.span(0x20_0000 | Runs.CONTIGUOUS, 1));
  }

  /** A format that says nothing about changes in place. Expect all or none to be allowed. */
  @Test
  void liveChangeAllowed_default_followsBreakBeforeMake() {
    PageTableFormat strict = new Runs();

    assertFalse(strict.liveChangeAllowed(1, 2, 0));
    assertTrue(strict.liveChangeAllowed(2, 2, 0));
    assertTrue(plain.liveChangeAllowed(1, 2, 0));
  }

  /** The index of an address at both levels. Expect nine bits each. */
  @Test
  void index_default_takesTheBitsOfTheLevel() {
    long va = 0x1ffL << 30 | 0x123L << 21 | 0x1abL << 12 | 0xfff;

    assertEquals(0x1ab, plain.index(va, 0));
    assertEquals(0x123, plain.index(va, 1));
  }
}
