// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.ArgumentMatchers.anyBoolean;
import static org.mockito.ArgumentMatchers.anyInt;
import static org.mockito.Mockito.doAnswer;
import static org.mockito.Mockito.mock;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.P4d;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Pgd;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.PlainTables;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.Pud;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * A small machine for the tests of mm_init.c alone.
 *
 * <p>Faithful: machine, page tables, struct pages, sections, memblock. Changed for tests:
 * sparse_init() maps the memmap of the sections that RAM touches with base pages from memory behind
 * RAM. No-op: the page allocator only notes which blocks and pageblocks it got.
 *
 * <pre>
 *   physical   | the test's RAM ...            | top: page tables, memmap frames (2 GiB) |
 * </pre>
 */
final class MmInitBench {
  static final long VMEMMAP_BASE = 0xffff_ea00_0000_0000L;
  static final long LINEAR_BASE = 0xffff_8880_0000_0000L;
  static final long MIB = 1L << 20;
  static final long GIB = 1L << 30;
  static final long SECTION_PAGES = 32768;
  static final long PAGE = 4096;
  private static final long EARLY =
      Mmzone.SECTION_MARKED_PRESENT
          | Mmzone.SECTION_HAS_MEM_MAP
          | Mmzone.SECTION_IS_ONLINE
          | Mmzone.SECTION_IS_EARLY;

  /** Memory of a node in bytes, the end not included. */
  record Ram(long start, long end, int nid) {}

  /** A block that went to the page allocator. */
  record Freed(long pfn, int order) {}

  /** What a pageblock was set to. */
  record Block(Migratetype type, boolean isolate) {}

  final Machine machine;
  final Mm mm;
  final Memblock memblock;
  final PageAlloc pageAlloc = mock(PageAlloc.class);
  final Slab slab = mock(Slab.class);
  final Sparse sparse = mock(Sparse.class);
  final SparseVmemmap vmemmap = mock(SparseVmemmap.class);
  final MmInit mmInit;
  final List<Freed> freed = new ArrayList<>();
  final Map<Long, Block> pageblocks = new TreeMap<>();
  private final List<Ram> ram;
  private long top;

  MmInitBench(MmConfig config, Ram... ram) {
    this.ram = List.of(ram);
    this.top = (this.ram.stream().mapToLong(Ram::end).max().orElse(0) + GIB) & -GIB;
    PlainTables format = new PlainTables(9, 9, 9, 9);
    this.machine = new Machine(top + 2 * GIB, format, LINEAR_BASE, Owner.values(), 1);
    long pgd = frame();
    long data = frame();
    this.mm = new Mm(machine, format, config, new Mm.Image(VMEMMAP_BASE, pgd, data, PAGE));
    this.memblock = new Memblock(mm, Placement.NONE);
    for (Ram range : ram) {
      memblock.memblockAddNode(range.start(), range.end() - range.start(), range.nid());
    }
    this.mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    mmInit.setVmemmap(vmemmap);
    fakePageAlloc();
    doAnswer(call -> makeSections()).when(sparse).sparseInit();
  }

  static MmInitBench debian(Ram... ram) {
    return new MmInitBench(MmConfig.debianX86(), ram);
  }

  /** The memory of the captured machine base-8g. */
  static Ram[] ram8g() {
    return new Ram[] {
      new Ram(0x1000, 0x9f000, 0),
      new Ram(0x10_0000, 0xbffe_0000L, 0),
      new Ram(0x1_0000_0000L, 0x2_4000_0000L, 0)
    };
  }

  // ---- what the test does ----

  /** Reserves bytes in memblock. */
  MmInitBench reserve(long start, long end) {
    memblock.memblockReserve(start, end - start);
    return this;
  }

  /** mm_core_init_early() with the zone limits of x86-64. */
  MmInitBench early() {
    mmInit.mmCoreInitEarly(x86Limits());
    return this;
  }

  /** As {@link #early}, but stops when the zones are known: no memmap is made. */
  MmInitBench layOutZones() {
    mmInit.setHugetlbHooks(
        new HugetlbBootHooks() {
          @Override
          public void hugetlbCmaReserve() {
            throw new ZonesAreKnown();
          }

          @Override
          public void hugetlbBootmemAlloc() {}

          @Override
          public void hugetlbBootmemStructPageInit() {}
        });
    assertThrows(ZonesAreKnown.class, this::early);
    return this;
  }

  private static final class ZonesAreKnown extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** mm_core_init() and page_alloc_init_late(). */
  MmInitBench late() {
    mmInit.mmCoreInit();
    mmInit.pageAllocInitLate();
    return this;
  }

  long[] x86Limits() {
    long maxPfn = ram.stream().mapToLong(Ram::end).max().orElse(0) >>> 12;
    return new long[] {Math.min(4096, maxPfn), Math.min(1L << 20, maxPfn), maxPfn};
  }

  /** A frame behind RAM that nobody uses, full of zeros; its physical address. */
  long frame() {
    long paddr = top;
    top += PAGE;
    return paddr;
  }

  /** Maps the memmap of the pfns with fresh frames where it is not mapped yet. */
  void mapMemmap(long pfn, long endPfn) {
    long va = page(pfn).va() & -PAGE;
    for (long end = page(endPfn).va(); va < end; va += PAGE) {
      Ptr<Pte> pte = pte(va);
      if (mm.pgtable().ptepGet(pte).val() == 0) {
        mm.pgtable().setPteAt(va, pte, new Pte(frame() | mm.pgtable().pageKernel().val()));
      }
    }
  }

  /** Maps one page of memmap, over what was there. */
  void map(long va, long paddr, Prot prot) {
    mm.pgtable().setPteAt(va, pte(va), new Pte(paddr | prot.val()));
    mm.pgtable().flushTlbAll();
  }

  /** Makes a section valid; its memmap is to be mapped by the caller. */
  MemSection makeSection(long nr, long flags) {
    Mmzone mmzone = mm.mmzone();
    int root = mmzone.sectionNrToRoot(nr);
    if (!mmzone.hasRoot(root)) {
      mmzone.setRoot(root);
    }
    mmzone.highestPresentSectionNr = Math.max(mmzone.highestPresentSectionNr, nr);
    MemSection ms = mmzone.section(nr);
    ms.sectionMemMap |= flags;
    if (ms.usage == null) {
      int blockflags = mmzone.sectionBlockflagsBits();
      ms.usage = new MemSectionUsage(0, mmzone.subsectionsPerSection(), blockflags);
    }
    return ms;
  }

  // ---- what the test looks at ----

  Page page(long pfn) {
    return mm.model().pfnToPage(pfn);
  }

  Zone zone(int nid, ZoneType type) {
    return mm.nodes().nodeData(nid).zone(type);
  }

  /** Zones with a span as {@code node name start+spanned present}. */
  List<String> zones() {
    List<String> text = new ArrayList<>();
    mm.nodes()
        .online()
        .forEach(node -> List.of(node.zones()).forEach(zone -> describe(zone, text)));
    return text;
  }

  private static void describe(Zone zone, List<String> text) {
    if (zone.spannedPages != 0) {
      text.add(
          zone.nid()
              + " "
              + zone.name()
              + " "
              + zone.zoneStartPfn
              + "+"
              + zone.spannedPages
              + " "
              + zone.presentPages);
    }
  }

  /** The words of a struct page; its own address + 8 is shown as the word {@link #SELF}. */
  long[] words(long pfn) {
    return words(page(pfn));
  }

  long[] words(Page page) {
    long[] words = new long[mm.struct().size() / 8];
    for (int i = 0; i < words.length; i++) {
      long word = mm.struct().word(page, 8 * i);
      words[i] = word == page.va() + 8 ? SELF : word;
    }
    return words;
  }

  /** Stands for a pointer to the struct page's own word 1. */
  static final long SELF = 0x5e1f_5e1f_5e1f_5e1fL;

  /** All struct pages of the pfns, word after word, as seen through the memmap. */
  long[][] memmap(long pfn, long endPfn) {
    long[][] all = new long[(int) (endPfn - pfn)][];
    for (int i = 0; i < all.length; i++) {
      all[i] = words(pfn + i);
    }
    return all;
  }

  List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }

  // ---- the fake world ----

  private void fakePageAlloc() {
    doAnswer(
            call -> {
              Page page = call.getArgument(0);
              Block block = new Block(call.getArgument(1), call.getArgument(2));
              return pageblocks.put(mm.model().pageToPfn(page), block);
            })
        .when(pageAlloc)
        .initPageblockMigratetype(any(), any(), anyBoolean());
    doAnswer(
            call -> {
              Page page = call.getArgument(0);
              int order = call.getArgument(1);
              for (int i = 0; i < 1 << order; i++) {
                mm.flags().clear(mm.struct().add(page, i), PageFlags.PG_RESERVED);
                mm.refs().setPageCount(mm.struct().add(page, i), 0);
              }
              return freed.add(new Freed(mm.model().pageToPfn(page), order));
            })
        .when(pageAlloc)
        .freePagesCore(any(), anyInt(), anyBoolean());
  }

  /** sparse_init(): every section that RAM touches becomes early and gets a whole memmap. */
  private Object makeSections() {
    for (Ram range : ram) {
      long first = (range.start() >>> 12) / SECTION_PAGES;
      long last = ((range.end() >>> 12) - 1) / SECTION_PAGES;
      for (long nr = first; nr <= last; nr++) {
        makeSection(nr, EARLY);
        mapMemmap(nr * SECTION_PAGES, (nr + 1) * SECTION_PAGES);
      }
      markSubsections(range.start() >>> 12, range.end() >>> 12);
    }
    return 0;
  }

  private void markSubsections(long pfn, long endPfn) {
    for (long at = pfn & -512; at < endPfn; at += 512) {
      MemSectionUsage usage = mm.mmzone().section(at / SECTION_PAGES).usage;
      if (usage != null) {
        usage.subsectionMap()[0] |= 1L << mm.mmzone().subsectionMapIndex(at);
      }
    }
  }

  private Ptr<Pte> pte(long va) {
    Pgtable pgtable = mm.pgtable();
    Ptr<Pgd> pgd = pgtable.pgdOffsetK(va);
    Ptr<P4d> p4d = pgtable.p4dOffset(pgd, va);
    if (pgtable.p4dpGet(p4d).val() == 0) {
      pgtable.p4dPopulateKernel(va, p4d, LINEAR_BASE + frame());
    }
    Ptr<Pud> pud = pgtable.pudOffset(p4d, va);
    if (pgtable.pudpGet(pud).val() == 0) {
      pgtable.pudPopulate(pud, LINEAR_BASE + frame());
    }
    Ptr<Pmd> pmd = pgtable.pmdOffset(pud, va);
    if (pgtable.pmdpGet(pmd).val() == 0) {
      pgtable.pmdPopulateKernel(pmd, LINEAR_BASE + frame());
    }
    return pgtable.pteOffsetKernel(pmd, va);
  }
}
