// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pgtable;

/** The numbers by which two kernels on the same machine can be held against each other. */
public final class Numbers {
  private static final String OUTCOME = "outcome";
  private static final String[] TABLES = {"pte", "pmd", "pud", "p4d"};

  private final Map<String, String> numbers = new LinkedHashMap<>();
  private final LabKernel kernel;
  private final Mm mm;

  private Numbers(LabKernel kernel) {
    this.kernel = kernel;
    this.mm = kernel.mm();
  }

  /**
   * Those of the machine that {@code run} leaves; when its kernel breaks down on the way, {@code
   * outcome} and how.
   */
  public static Map<String, String> of(Supplier<LabKernel> run) {
    try {
      return of(run.get());
    } catch (KernelPanic e) {
      return Map.of(OUTCOME, "panic: " + e.getMessage());
    } catch (KernelBug e) {
      return Map.of(OUTCOME, String.valueOf(e.getMessage()));
    } catch (MachineFault e) {
      return Map.of(OUTCOME, "fault: " + e.getMessage());
    }
  }

  /** Those of a machine at rest, by name, always in the same order. Counts are base pages. */
  public static Map<String, String> of(LabKernel kernel) {
    Numbers numbers = new Numbers(kernel);
    numbers.memmap();
    numbers.sections();
    numbers.hugepages();
    numbers.devices();
    numbers.numbers.put(OUTCOME, "ok");
    return numbers.numbers;
  }

  private void put(String name, long value) {
    numbers.put(name, Long.toString(value));
  }

  private void memmap() {
    put("nr_memmap_boot_pages", mm.vmstat().nrMemmapBootPages());
    put("nr_memmap_pages", mm.vmstat().nrMemmapPages());
    MemmapWalk walk = new MemmapWalk(mm);
    put("frames behind the memmap", walk.distinctPages());
    put("shared tails", new ZoneTails(mm).slots().size());
    put("mapped read-only", walk.readOnlyPages());
    long blocks = 0;
    for (var leaf : walk.leaves().entrySet()) {
      blocks += leaf.getKey().level() == Pgtable.PMD ? leaf.getValue() : 0;
    }
    put("pmd leaves", blocks);
    for (int level = 0; mm.machine().bolted() == null && level < TABLES.length; level++) {
      if (walk.tables(level) > 0) {
        put(TABLES[level] + " tables", walk.tables(level));
      }
    }
  }

  private void sections() {
    Mmzone mmzone = mm.mmzone();
    long preinited = 0;
    long ordered = 0;
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      preinited += mmzone.preinitedVmemmapSection(mmzone.section(nr)) ? 1 : 0;
      ordered += mmzone.pfnToSectionOrder(mmzone.sectionNrToPfn(nr)) > 0 ? 1 : 0;
    }
    put("sections per root", mmzone.sectionsPerRoot());
    put("sections marked pre-init", preinited);
    put("sections with an order", ordered);
  }

  private void hugepages() {
    for (HugePool pool : HugePool.all(kernel)) {
      if (pool.total() > 0) {
        String name = Sizes.text(pool.size()) + " hugepages";
        put(name, pool.total());
        put(name + " optimised", pool.optimized());
      }
    }
  }

  private void devices() {
    for (DaxBus.Bound bound : kernel.dax().bound()) {
      long start = mm.model().physPfn(bound.pgmap().ranges[0].start());
      long pages = mm.model().physPfn(bound.pgmap().ranges[0].len());
      long step = mm.mmzone().pageblockNrPages();
      long movable = 0;
      for (long pfn = start; pfn < start + pages; pfn += step) {
        Page page = mm.model().pfnToPage(pfn);
        Migratetype type = kernel.pageAlloc().getPfnblockMigratetype(page, pfn);
        movable += type == Migratetype.MIGRATE_MOVABLE ? 1 : 0;
      }
      put(bound.device() + " movable pageblocks", movable);
    }
  }
}
