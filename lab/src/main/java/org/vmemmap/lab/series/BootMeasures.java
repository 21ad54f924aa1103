// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.machine.Checks;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Measures on the way up: sections, boot pages of HugeTLB, their shared tails. */
final class BootMeasures {
  private static final int ORDER_1G = DeviceMeasures.ORDER_1G;
  private static final long PFN_4G = 4L << 18;
  private static final long SECTION_PAGES = 32768;
  private static final long PAGES_OF_MEMMAP = 512;
  private static final int STRUCTS_PER_PAGE = 64;
  private static final String HVO = "hugetlb_free_vmemmap=on";

  private BootMeasures() {}

  /** A kernel that came up, or did not. */
  private static LabKernel early(MachineSpec spec, int failFrom, String site) {
    return LabKernel.bootEarly(
        spec,
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel kernel) {
            kernel.mm().machine().faults().failFrom(failFrom, site::equals);
          }
        });
  }

  /** The boot of four sections with memory for the memmap of two. */
  static String memmapForTwoOfFour(Level level) {
    LabKernel[] booting = new LabKernel[1];
    LabKernel.Listener failing =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel kernel) {
            booting[0] = kernel;
            // No buffer; a pud and a pmd table, and the blocks of two sections.
            AtomicInteger blocks = new AtomicInteger();
            kernel
                .mm()
                .machine()
                .faults()
                .failFrom(
                    1,
                    site ->
                        site.equals("sparse_buffer_init")
                            || (site.equals("vmemmap_alloc_block")
                                && blocks.incrementAndGet() > 4));
          }
        };
    try {
      LabKernel.bootEarly(level.on(SeriesMachine.spec(512L << 20)), failing);
    } catch (KernelBug bug) {
      // Before patch 9 the kernel follows a null pointer when subsections are marked.
    }
    return sections(booting[0].mm()) + " of 4 sections, nr_memmap_boot_pages "
        + booting[0].mm().vmstat().nrMemmapBootPages();
  }

  /** Sections of the first four that are present. */
  private static long sections(Mm mm) {
    long count = 0;
    for (long nr = 0; nr < 4; nr++) {
      boolean present = (mm.mmzone().section(nr).sectionMemMap & Mmzone.SECTION_MARKED_PRESENT) != 0;
      count += present ? 1 : 0;
    }
    return count;
  }

  /** Hugepages that HugeTLB reckons with when the memmap is complete. */
  static long hugepagesReckoned(LabKernel kernel) {
    Hstate h = Objects.requireNonNull(kernel.hugetlb().hstates().sizeToHstate(SeriesMachine.GIB));
    return h.maxHugePages;
  }

  /** Nodes that HugeTLB has a CMA area on, when that of node 0 lies in two zones. */
  static long cmaAreas(Level level) {
    LabKernel kernel = LabKernel.bootEarly(level.on(SeriesMachine.cmaSpec(List.of())));
    return kernel.mm().printk().lines().stream()
        .filter(line -> line.text().startsWith("hugetlb_cma: reserved 1024 MiB on node"))
        .count();
  }

  /** nr_memmap_boot_pages of 4 GiB with an optimised boot page of 1 GiB. */
  static long bootPages(Level level, boolean tailFails) {
    MachineSpec spec = SeriesMachine.spec(4L << 30, HVO, "hugepagesz=1G", "hugepages=1");
    LabKernel kernel = early(level.on(spec), tailFails ? 1 : Integer.MAX_VALUE, "vmemmap_get_tail");
    return kernel.mm().vmstat().nrMemmapBootPages();
  }

  /** nr_memmap_boot_pages of arm64, when the memmap of 4 GiB with two boot pages is complete. */
  static long bootPagesOfArm64(Level level) {
    return LabKernel.bootEarly(arm64Spec(level)).mm().vmstat().nrMemmapBootPages();
  }

  /** An arm64 machine of 4 GiB with two boot pages of 1 GiB. */
  static MachineSpec arm64Spec(Level level) {
    MachineSpec arm =
        Boards.ofSize(
            Boards.arm64(4096, null),
            4L << 30,
            1,
            List.of(),
            List.of(HVO, "hugepagesz=1G", "hugepages=2"));
    return level.on(arm.withConfig(arm.config().withHugetlbOptimizeVmemmap(true)));
  }

  /** Sections that carry the mark of an early hook. */
  static long preinited(Mmzone mmzone) {
    long count = 0;
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      count += mmzone.preinitedVmemmapSection(mmzone.section(nr)) ? 1 : 0;
    }
    return count;
  }

  /** Movable pageblocks of the boot page. */
  static long movable(LabKernel kernel) {
    long count = 0;
    for (long pfn = PFN_4G; pfn < PFN_4G + (1L << ORDER_1G); pfn += 512) {
      Page page = kernel.mm().model().pfnToPage(pfn);
      Migratetype type = kernel.pageAlloc().getPfnblockMigratetype(page, pfn);
      count += type == Migratetype.MIGRATE_MOVABLE ? 1 : 0;
    }
    return count;
  }

  /**
   * Struct pages of the boot page that memmap_init_range() writes: it is done once more, and
   * touches of shared tails and of other frames of memmap are counted, a page each.
   */
  static long initialised(Level level) {
    LabKernel kernel = LabKernel.bootEarly(level.on(SeriesMachine.hugepageSpec()));
    long[] touched = new long[1];
    Checks counting =
        Checks.none()
            .withAccessible(
                owner -> {
                  touched[0] += owner == Owner.SHARED_TAIL || owner == Owner.VMEMMAP ? 1 : 0;
                  return true;
                });
    kernel.mm().machine().check(counting);
    kernel
        .mmInit()
        .memmapInitRange(
            1L << ORDER_1G,
            0,
            ZoneType.ZONE_NORMAL,
            PFN_4G,
            PFN_4G + (1L << ORDER_1G),
            true,
            null,
            Migratetype.MIGRATE_MOVABLE,
            false);
    return touched[0] * STRUCTS_PER_PAGE;
  }

  /** The first struct page in the boot page's shared frame, through the direct map. */
  static Page sharedTail(Mm mm) {
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL);
    Page tail = zone.vmemmapTails[ORDER_1G - mm.mmzone().vmemmapTailMinOrder()];
    return new Page(mm.model().pageAddress(Objects.requireNonNull(tail)));
  }

  /** Its compound_info. */
  static String sharedTailWord(Mm mm) {
    long word = mm.struct().word(sharedTail(mm), Long.BYTES);
    return word == 0 ? "0" : "0x" + Long.toHexString(word);
  }

  /** Frames behind the memmap of two sections with order 18, populated by hand. */
  static long framesBySectionOrder(Level level) {
    SeriesMachine machine = level.fresh();
    Mm mm = machine.kernel().mm();
    mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL).zoneStartPfn = PFN_4G;
    mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL).spannedPages = 1L << ORDER_1G;
    Set<Long> frames = new HashSet<>();
    for (long pfn = PFN_4G; pfn < PFN_4G + 2 * SECTION_PAGES; pfn += SECTION_PAGES) {
      machine.kernel().sparse().sparseIndexInit(pfn >>> 15, 0);
      machine.kernel().sparseVmemmap().sectionSetOrderRange(pfn, SECTION_PAGES, ORDER_1G);
      machine.kernel().sparseVmemmap().populateSectionMemmap0(pfn, SECTION_PAGES, 0, null, null);
      frames.addAll(frames(mm, pfn));
    }
    return frames.size();
  }

  private static Set<Long> frames(Mm mm, long pfn) {
    long va = mm.model().pfnToPage(pfn).va();
    Set<Long> frames = new HashSet<>();
    Pmd pmd = mm.pgtable().pmdpGet(mm.pgtable().pmdOffK(va));
    boolean leaf = mm.pgtable().pmdLeaf(pmd);
    for (long page = 0; page < PAGES_OF_MEMMAP; page++) {
      frames.add(
          leaf
              ? mm.pgtable().pmdPfn(pmd) + page
              : mm.pgtable().ptePfn(mm.pgtable().ptepGet(mm.pgtable().virtToKpte(va + page * 4096))));
    }
    return frames;
  }

  /** What the log says of a hugepage whose shared tail finds no memory. */
  static String tailFailure(Level level) {
    SeriesMachine machine = level.fresh(HVO);
    machine.kernel().mm().machine().faults().failFrom(1, "vmemmap_get_tail"::equals);
    int rc = machine.kernel().write("/proc/sys/vm/nr_hugepages", "1");
    String log = String.valueOf(machine.kernel().read("/dev/kmsg"));
    String text = "vmemmap alloc failure: order:0";
    return rc == 0 && log.contains(text) ? text : "nothing";
  }
}
