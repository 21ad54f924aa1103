// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.cases.ModelView.Hugepage;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.FaultInjection;

/**
 * A booted machine on which the operations of a case are done, as an administrator would: by
 * writing to the files that the case names.
 */
final class CaseMachineRun {
  private static final String FREE_VMEMMAP = "hugetlb_free_vmemmap=";
  private static final String RESTORE_SITE = "alloc_vmemmap_page_list";

  /**
   * Where the ported code asks the page allocator. Not {@code allocate_slab}: in a kernel that has
   * run for a while every small size has a slab with room, so small objects need no page; the slabs
   * of the model are as full as its few objects make them.
   */
  private static final Set<String> PAGE_SITES =
      Set.of(
          RESTORE_SITE,
          "__hugetlb_vmemmap_optimize_folio",
          "vmemmap_split_pmd",
          "vmemmap_get_tail",
          "vmemmap_alloc_block",
          "alloc_buddy_frozen_folio",
          "alloc_contig_frozen_pages_noprof",
          "pgd_alloc");

  private final LabKernel kernel;
  private final CasePlacement placement;
  private final KernelParts parts;

  private CaseMachineRun(LabKernel kernel, CasePlacement placement) {
    this.kernel = kernel;
    this.placement = placement;
    this.parts = new KernelParts(kernel);
  }

  /** Boots the machine of a case. */
  static CaseMachineRun boot(
      VmemmapCase.CaseMachine machine, VmemmapCase.Boot boot, CasePlacement placement) {
    MachineSpec spec = CaseFiles.spec(machine);
    placement.limitAtBoot(boot, machine.profile().pageSize(), spec.config().maxPageOrder());
    LabKernel kernel = LabKernel.boot(spec.withCmdline(cmdline(spec.cmdline(), boot)), placement);
    placement.unlimit();
    return new CaseMachineRun(kernel, placement);
  }

  /** The command line; what the operation says and the line does not is added. */
  private static List<String> cmdline(List<String> given, VmemmapCase.Boot boot) {
    List<String> words = new ArrayList<>(given);
    if (boot.optimizeVmemmap() && given.stream().noneMatch(word -> word.startsWith(FREE_VMEMMAP))) {
      words.add(FREE_VMEMMAP + "on");
    }
    if (boot.kernelcore() > 0 && given.stream().noneMatch(word -> word.startsWith("kernelcore="))) {
      words.add("kernelcore=" + boot.kernelcore());
    }
    if (boot.hugetlbCma() > 0 && given.stream().noneMatch(word -> word.startsWith("hugetlb_cma="))) {
      words.add("hugetlb_cma=" + boot.hugetlbCma());
    }
    if (given.stream().noneMatch(word -> word.startsWith("hugepages="))) {
      words.addAll(hugepages(boot));
    }
    return words;
  }

  /** Says which devices the case has, by name, and where they start. */
  void name(Map<String, Long> devices) {
    parts.name(devices);
  }

  /** The kernel takes each size once, with the numbers for its nodes in one word. */
  private static List<String> hugepages(VmemmapCase.Boot boot) {
    Map<Long, String> bySize = new LinkedHashMap<>();
    for (VmemmapCase.BootHugepages pages : boot.hugepages()) {
      Integer node = pages.node();
      String count = (node == null ? "" : node + ":") + pages.count();
      bySize.merge(pages.size(), count, (one, next) -> one + "," + next);
    }
    List<String> words = new ArrayList<>();
    bySize.forEach(
        (size, counts) -> {
          words.add("hugepagesz=" + (size >> 20) + "M");
          words.add("hugepages=" + counts);
        });
    return words;
  }

  /** The machine. */
  LabKernel kernel() {
    return kernel;
  }

  /** What can be read from the machine. */
  ModelView view() {
    return parts;
  }

  /** Notes what is where, so that a later step can say what used to be there. */
  void settle() {
    parts.settle();
  }

  /** Checks the machine's invariants. */
  Invariants.Report invariants() {
    return Invariants.check(kernel);
  }

  /** Does one operation; returns its results by key. */
  Map<String, Object> perform(VmemmapCase.Args args, VmemmapCase.Step step) {
    return switch (args) {
      case VmemmapCase.SetPool pool -> setPool(pool, step);
      case VmemmapCase.Demote demote -> Map.of("rc", demote(demote));
      case VmemmapCase.SetOptimize set ->
          rcAndReadback(set.via(), kernel.write(set.via(), Long.toString(set.value())));
      case VmemmapCase.MapHugepage map -> {
        parts.mapHugepage(map);
        yield Map.of();
      }
      case VmemmapCase.MapDevice map -> {
        parts.mapDevice(map);
        yield Map.of();
      }
      case VmemmapCase.DaxBind bind -> Map.of("rc", parts.daxBind(bind));
      case VmemmapCase.DaxUnbind unbind -> Map.of("rc", parts.daxUnbind(unbind));
      case VmemmapCase.Memremap remap -> Map.of("rc", memremap(remap));
      case VmemmapCase.Memunmap unmap -> Map.of("rc", parts.memunmap(unmap));
      case VmemmapCase.AddMemory memory -> addMemory(memory);
      case VmemmapCase.Blocks blocks -> parts.hotplug().change(blocks, step);
      case VmemmapCase.RemoveMemory removal -> {
        parts.removed(removal);
        yield parts.hotplug().remove(removal, step);
      }
      case VmemmapCase.Boot boot -> throw new IllegalStateException("a second boot");
      case VmemmapCase.NotYet later -> throw new IllegalStateException("checked before");
    };
  }

  private Map<String, Object> setPool(VmemmapCase.SetPool pool, VmemmapCase.Step step) {
    if (pool.exhausted()) {
      parts.preferForRestore(pool.size(), leaving(pool.size()), pool.count(), pool.node());
      exhaust(pool.size(), step);
    } else {
      parts.preferForRemoval(pool.size(), leaving(pool.size()));
    }
    limit(pool, step);
    int rc = kernel.write(pool.via(), Long.toString(pool.count()));
    placement.unlimit();
    kernel.mm().machine().faults().disarm();
    return rcAndReadback(pool.via(), rc);
  }

  /** Demotes pages; those that the step no longer wants go first. */
  private int demote(VmemmapCase.Demote demote) {
    String sizeFile = demote.via().replaceAll("/demote$", "/demote_size");
    String to = demote.to() / 1024 + "kB";
    if (!to.equals(kernel.read(sizeFile))) {
      int rc = kernel.write(sizeFile, to);
      if (rc != 0) {
        return rc;
      }
    }
    parts.preferForRemoval(demote.size(), leaving(demote.size()));
    return kernel.write(demote.via(), Long.toString(demote.count()));
  }

  /** The placement is that of the end of the step: it limits the last write to the pool only. */
  private void limit(VmemmapCase.SetPool pool, VmemmapCase.Step step) {
    boolean last = true;
    for (VmemmapCase.Operation operation : step.operations().reversed()) {
      if (operation.args() instanceof VmemmapCase.SetPool other && other.size() == pool.size()) {
        last = other.equals(pool);
        break;
      }
    }
    if (last) {
      Integer node = pool.node();
      placement.limit(order(pool.size()), node == null ? -1 : node, pool.count());
    }
  }

  private int order(long size) {
    return Long.numberOfTrailingZeros(size / kernel.mm().model().pageSize());
  }

  private Map<String, Object> rcAndReadback(String via, int rc) {
    Map<String, Object> results = new LinkedHashMap<>();
    results.put("rc", rc);
    String text = kernel.read(via);
    if (text != null) {
      results.put("readback", text);
    }
    return results;
  }

  /** Hugepages that are in the pool now and no longer wanted at the end of the step. */
  private Set<Long> leaving(long size) {
    int order = order(size);
    Set<Long> wanted = placement.wanted().getOrDefault(order, Set.of());
    Set<Long> leaving = new HashSet<>();
    for (Hugepage page : parts.hugepages()) {
      if (page.order() == order && !wanted.contains(page.pfn())) {
        leaving.add(page.pfn());
      }
    }
    return leaving;
  }

  private Map<String, Object> addMemory(VmemmapCase.AddMemory memory) {
    if (memory.exhausted()) {
      kernel.mm().machine().faults().failFrom(1, PAGE_SITES::contains);
    }
    parts.added(memory);
    Map<String, Object> results = parts.hotplug().add(memory);
    kernel.mm().machine().faults().disarm();
    return results;
  }

  private int memremap(VmemmapCase.Memremap remap) {
    if (remap.exhausted()) {
      kernel.mm().machine().faults().failFrom(1, PAGE_SITES::contains);
    }
    int rc = parts.memremap(remap);
    kernel.mm().machine().faults().disarm();
    return rc;
  }

  /**
   * Lets every allocation fail; but a case may say that some hugepages got their memmap back before
   * memory ran out.
   */
  private void exhaust(long size, VmemmapCase.Step step) {
    VmemmapCase.PlacedStep placed = step.placement();
    long restored = placed == null ? 0 : Math.max(0, placed.restoredBeforeFailure());
    long pageSize = kernel.mm().model().pageSize();
    long memmap = size / pageSize * kernel.mm().config().sizeofStructPage() / pageSize;
    long[] left = {restored * (memmap - 1)};
    FaultInjection faults = kernel.mm().machine().faults();
    faults.failFrom(
        1, site -> site.equals(RESTORE_SITE) ? left[0]-- <= 0 : PAGE_SITES.contains(site));
  }
}
