// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.lab.observe.SectionRun;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.lab.report.BootReport.Cost;
import org.vmemmap.lab.report.BootReport.DeviceRow;
import org.vmemmap.lab.report.BootReport.HugeRow;
import org.vmemmap.lab.report.BootReport.MemmapRow;
import org.vmemmap.lab.report.BootReport.Picture;
import org.vmemmap.lab.report.BootReport.SectionRow;
import org.vmemmap.lab.report.MemmapSnapshot.Mapping;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Zone;

/** Gathers a {@link BootReport} from a machine. Reads only. */
public final class ReportBuilder {
  private static final List<String> SECTION_FLAGS =
      List.of("present", "memmap", "online", "early", "device", "preinit");
  private static final int SECTION_FLAG_EARLY = 3;

  private final LabKernel kernel;
  private final Mm mm;
  private final MemmapSnapshot before;
  private final ZoneTails zoneTails;
  private final List<HugePool> pools;

  /**
   * A builder for the machine as it is now.
   *
   * @param before the memmap before any hugepage or device
   */
  public ReportBuilder(LabKernel kernel, MemmapSnapshot before) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.before = before;
    this.zoneTails = new ZoneTails(mm);
    this.pools = HugePool.all(kernel);
  }

  /**
   * Puts all together.
   *
   * @param asked what was put on the machine without being asked for
   * @param terminal what was done after boot
   * @param devices the devices that are bound
   * @param verified what was checked
   */
  public BootReport build(
      List<String> asked,
      List<String> terminal,
      List<DeviceFacts> devices,
      Invariants.Report verified) {
    List<DeviceRow> rows = new ArrayList<>();
    for (DeviceFacts device : devices) {
      rows.add(device(device));
    }
    return new BootReport(
        kernel.spec(),
        asked,
        terminal,
        log(),
        sections(),
        memmap(),
        hugepages(),
        rows,
        picture(),
        null,
        verified);
  }

  // ---- the memmap ----

  /** Warnings, and what HugeTLB and the parameter parser said. */
  private List<String> log() {
    List<String> lines = new ArrayList<>();
    for (Printk.Line line : mm.printk().lines()) {
      boolean warns = line.level().compareTo(Printk.Level.WARNING) <= 0;
      if (warns || line.text().startsWith("HugeTLB") || line.text().startsWith("Unknown kernel")) {
        lines.add(line.text());
      }
    }
    return lines;
  }

  /** The rows of all present sections. */
  public List<SectionRow> sections() {
    List<SectionRow> rows = new ArrayList<>();
    for (SectionRun run : SectionRun.all(mm)) {
      long from = run.first();
      for (long nr = from; nr < run.first() + run.n(); nr++) {
        boolean last = nr + 1 == run.first() + run.n();
        if (last || node(run, nr) != node(run, nr + 1)) {
          rows.add(section(run, from, nr + 1));
          from = nr + 1;
        }
      }
    }
    return rows;
  }

  /** The node that the struct page of a section's first page in use tells. */
  private int node(SectionRun run, long nr) {
    long pfn = mm.mmzone().sectionNrToPfn(nr);
    if (run.subsections() != 0) {
      pfn += Long.numberOfTrailingZeros(run.subsections()) * mm.mmzone().pagesPerSubsection();
    }
    return mm.inline().pageToNid(mm.model().pfnToPage(pfn));
  }

  private SectionRow section(SectionRun run, long from, long to) {
    Mmzone mmzone = mm.mmzone();
    long startPfn = mmzone.sectionNrToPfn(from);
    long endPfn = mmzone.sectionNrToPfn(to);
    LeafCounter leaves = new LeafCounter();
    int size = mm.config().sizeofStructPage();
    long base = mm.model().vmemmapBase();
    new PageTableWalker(mm).walk(base + startPfn * size, base + endPfn * size, leaves);
    int node = node(run, from);
    return new SectionRow(
        from,
        to - from,
        mm.model().pfnPhys(startPfn),
        mm.model().pfnPhys(endPfn),
        node,
        zones(node, startPfn, endPfn, (run.flags() >> SECTION_FLAG_EARLY & 1) != 0),
        leaves.pages(PageTableWalker.format(mm)),
        leaves.pmd,
        leaves.pte,
        flagNames(run.flags()),
        run.subsections());
  }

  private static final class LeafCounter implements PageTableWalker.Visitor {
    private long pmd;
    private long pte;

    @Override
    public void leaf(int level, long va, long entry) {
      pmd += level == Pgtable.PMD ? 1 : 0;
      pte += level == Pgtable.PTE ? 1 : 0;
    }

    long pages(PageTableFormat format) {
      return pte + (pmd << (format.shift(Pgtable.PMD) - format.pageShift()));
    }
  }

  private List<String> zones(int node, long startPfn, long endPfn, boolean early) {
    List<String> names = new ArrayList<>();
    PgData data = mm.nodes().nodeData(node);
    for (Zone zone : data.zones()) {
      boolean wanted = early || !zone.populated();
      if (wanted && zone.intersects(startPfn, endPfn - startPfn)) {
        names.add(zone.name());
      }
    }
    return names;
  }

  private static List<String> flagNames(long flags) {
    List<String> names = new ArrayList<>();
    for (int bit = 0; bit < SECTION_FLAGS.size(); bit++) {
      if ((flags >> bit & 1) != 0) {
        names.add(SECTION_FLAGS.get(bit));
      }
    }
    return names;
  }

  private MemmapRow memmap() {
    MemmapWalk walk = new MemmapWalk(mm);
    PageTableFormat format = PageTableWalker.format(mm);
    TreeMap<String, Long> tables = new TreeMap<>();
    boolean walked = mm.machine().bolted() == null;
    for (int level = 0; walked && level < format.levels() - 1; level++) {
      tables.put(format.levelName(level), walk.tables(level));
    }
    long pmd = 0;
    long pte = 0;
    for (var leaf : walk.leaves().entrySet()) {
      pmd += leaf.getKey().level() == Pgtable.PMD ? leaf.getValue() : 0;
      pte += leaf.getKey().level() == Pgtable.PTE ? leaf.getValue() : 0;
    }
    return new MemmapRow(
        walk.mappedPages(),
        walk.distinctPages(),
        walk.readOnlyPages(),
        pmd,
        pte,
        tables,
        mm.vmstat().nrMemmapBootPages(),
        mm.vmstat().nrMemmapPages());
  }

  // ---- hugepages and devices ----

  private List<HugeRow> hugepages() {
    List<HugeRow> rows = new ArrayList<>();
    for (HugePool pool : pools) {
      if (pool.total() == 0) {
        continue;
      }
      MemmapCost cost = new MemmapCost(mm, before, zoneTails);
      for (HugePool.Hugepage page : pool.pages()) {
        cost.add(page.pfn(), 1L << pool.order());
      }
      rows.add(
          new HugeRow(pool.size(), pool.total(), pool.optimized(), pool.perNode(), Cost.of(cost)));
    }
    return rows;
  }

  private DeviceRow device(DeviceFacts device) {
    MemmapCost cost = new MemmapCost(mm, before, zoneTails);
    cost.add(device.startPfn(), device.pages());
    return new DeviceRow(
        device.name(),
        mm.model().pfnPhys(device.startPfn()),
        mm.model().pfnPhys(device.pages()),
        device.align(),
        device.altmapPages() > 0 ? "dev" : "mem",
        device.altmapPages(),
        Cost.of(cost));
  }

  // ---- the picture ----

  private @Nullable Picture picture() {
    HugePool ofPage = null;
    HugePool.Hugepage page = null;
    for (HugePool pool : pools) {
      for (HugePool.Hugepage candidate : pool.pages()) {
        if (page == null || (candidate.optimized() && !page.optimized())) {
          ofPage = pool;
          page = candidate;
        }
      }
    }
    return page == null || ofPage == null ? null : draw(ofPage, page);
  }

  private Picture draw(HugePool pool, HugePool.Hugepage page) {
    long pageSize = mm.model().pageSize();
    long start = mm.model().pfnToPage(page.pfn()).va();
    long bytes = (1L << pool.order()) * mm.config().sizeofStructPage();
    MemmapPicture picture = new MemmapPicture((int) Math.max(1, bytes / pageSize));
    List<Mapping> then = new ArrayList<>();
    List<Mapping> now = new ArrayList<>();
    int skipped = 0;
    for (int row : picture.rows()) {
      skipped = row < 0 ? skipped + 1 : row;
      long va = start + skipped * pageSize;
      then.add(before.at(va));
      now.add(now(va));
    }
    String title =
        "%s hugepage at pfn 0x%x (node %d, zone %s%s)"
            .formatted(
                Sizes.text(pool.size()),
                page.pfn(),
                page.zone().nid(),
                page.zone().name(),
                page.optimized() ? "" : ", not optimised");
    return new Picture(title, picture.draw(then, now) + legend(now));
  }

  private Mapping now(long va) {
    if (mm.machine().bolted() != null) {
      return new MemmapSnapshot(mm, "").at(va);
    }
    var entry = mm.machine().mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
    PageTableFormat format = PageTableWalker.format(mm);
    if (!format.present(entry.entry(), entry.level())) {
      return Mapping.NONE;
    }
    long offset = va & ((1L << format.shift(entry.level())) - 1);
    return MemmapSnapshot.mapping(format, entry.level(), entry.entry(), offset);
  }

  private String legend(List<Mapping> now) {
    Mapping last = now.getLast();
    ZoneTails.Slot slot = zoneTails.ofFrame(last.frame());
    String origin = before.origin().isEmpty() ? "" : "  " + before.origin() + "\n";
    if (slot == null) {
      return origin;
    }
    String shared = "the tail that all optimised hugepages of order %d in node %d, zone %s share";
    return (origin + "  0x%x: " + shared + ", read-only\n")
        .formatted(slot.frame(), slot.order(), slot.zone().nid(), slot.zone().name());
  }
}
