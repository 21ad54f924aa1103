// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.PageFlags;

/** /proc/kpageflags and /proc/kpagecount of struct pages that were written by hand. */
class ProcPageTest {
  private static final long HEAD = 512;
  private static final long ORDER_9_TAIL = 0xffffffffffff8001L;
  private static final long HUGETLB_TYPE = 0xf4000000L;
  private static final long NO_MAPCOUNT = 0xffffffffL;
  private static final int FLAGS = 0;
  private static final int INFO = 1;
  private static final int MAPCOUNTS = 2;
  private static final int MAPPING = 3;
  private static final int PRIVATE = 5;
  private static final int COUNTS = 6;
  private static final long PG_HEAD = 1L << PageFlags.PG_HEAD;

  private SmallMachine machine = new SmallMachine();
  private Mm mm = machine.mm();
  private ProcPage proc = new ProcPage(mm);

  /** One section is online; the memmap of its first 2048 pfns is mapped. */
  @BeforeEach
  void putOneSectionOnline() {
    machine = new SmallMachine();
    mm = machine.mm();
    proc = new ProcPage(mm);
    for (long vpage = 0; vpage < 32; vpage++) {
      machine.mapPage(vpage, 0x300 + vpage, SmallMachine.RW);
    }
    mm.mmzone().setRoot(0);
    MemSection section = mm.mmzone().section(0);
    section.sectionMemMap =
        Mmzone.SECTION_MARKED_PRESENT | Mmzone.SECTION_HAS_MEM_MAP | Mmzone.SECTION_IS_ONLINE;
    MemSectionUsage usage = new MemSectionUsage(0, 64, 512);
    usage.subsectionMap()[0] = 0xf;
    section.usage = usage;
  }

  private void hugepage(long word0, long mapcounts, long entire, long mapping) {
    machine.word(HEAD, FLAGS, word0 | PG_HEAD);
    machine.word(HEAD, MAPPING, mapping);
    machine.word(HEAD, COUNTS, HUGETLB_TYPE);
    machine.word(HEAD + 1, FLAGS, 9);
    machine.word(HEAD + 1, MAPCOUNTS, mapcounts);
    machine.word(HEAD + 1, MAPPING, entire);
    for (long pfn = HEAD + 1; pfn < HEAD + 512; pfn++) {
      machine.word(pfn, INFO, ORDER_9_TAIL);
      machine.word(pfn, COUNTS, NO_MAPCOUNT);
    }
  }

  /** A free hugepage of the pool. Expect huge, and head or tail; nobody maps it. */
  @Test
  void kpageFlags_freeHugepage_isHugeHeadAndTail() {
    hugepage(0, NO_MAPCOUNT, NO_MAPCOUNT, 0);

    assertEquals(0x28000, proc.kpageFlags(HEAD));
    assertEquals(0x30000, proc.kpageFlags(HEAD + 1));
    assertEquals(0x30000, proc.kpageFlags(HEAD + 511));
    assertEquals(0, proc.getKpageCount(HEAD));
    assertEquals(0, proc.getKpageCount(HEAD + 511));
  }

  /** A hugepage that a process maps: every page of it shows the folio's state. */
  @Test
  void kpageFlags_mappedHugepage_isMappedAnonymousExclusive() {
    long uptodateAndExclusive = 1L << PageFlags.PG_UPTODATE | 1L << PageFlags.PG_OWNER_2;
    hugepage(uptodateAndExclusive, 0, 0, 0xffff888000000001L);

    assertEquals(0x400029808L, proc.kpageFlags(HEAD));
    assertEquals(0x400031808L, proc.kpageFlags(HEAD + 3));
    assertEquals(1, proc.getKpageCount(HEAD));
    assertEquals(1, proc.getKpageCount(HEAD + 3));
  }

  /** The head's flags may be given: what the process did is an input. */
  @Test
  void kpageFlags_givenHeadFlags_replaceTheModels() {
    hugepage(0, 0, 0, 0xffff888000000001L);
    long dirtyAndUptodate = 1L << PageFlags.PG_UPTODATE | 1L << PageFlags.PG_DIRTY;

    assertEquals(0x29818, proc.kpageFlags(HEAD, PG_HEAD | dirtyAndUptodate));
    assertEquals(0x31818, proc.kpageFlags(HEAD + 1, PG_HEAD | dirtyAndUptodate));
  }

  /** A block on a free list. Expect buddy for its head and for all pages in it. */
  @Test
  void kpageFlags_freeBlock_isBuddyThroughout() {
    long order = 3;
    machine.word(8, COUNTS, 0xf0000000L);
    machine.word(8, PRIVATE, order);
    for (long pfn = 9; pfn < 17; pfn++) {
      machine.word(pfn, COUNTS, NO_MAPCOUNT);
    }

    assertEquals(0x400, proc.kpageFlags(8));
    assertEquals(0x400, proc.kpageFlags(15));
    assertEquals(0, proc.kpageFlags(16));
  }

  /** A reserved page of the kernel. Expect the reserved bit alone. */
  @Test
  void kpageFlags_reservedPage_isReserved() {
    machine.word(3, FLAGS, 1L << PageFlags.PG_RESERVED);
    machine.word(3, COUNTS, 0x1_ffff_ffffL);

    assertEquals(1L << ProcPage.KPF_RESERVED, proc.kpageFlags(3));
  }

  /** A subsection that is not in use, and a section that is not there. Expect zero. */
  @Test
  void kpageFlags_notOnline_isZero() {
    assertEquals(0, proc.kpageFlags(5 * 512));
    assertEquals(0, proc.getKpageCount(5 * 512));
    assertEquals(0, proc.kpageFlags(32768));
  }

  /** No page at all. Expect the one flag that says so. */
  @Test
  void stablePageFlags_null_isNopage() {
    assertEquals(1L << ProcPage.KPF_NOPAGE, proc.stablePageFlags(null));
  }
}
