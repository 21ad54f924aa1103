// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.World;
import org.vmemmap.machine.Omissions;
import org.vmemmap.types.Page;

/** Races of memory that comes and goes. */
final class HotplugRaces {
  private HotplugRaces() {}

  static List<RaceScenario> all() {
    return List.of(daxNeighbours(), pfnValid(), removalFlush());
  }

  private static RaceScenario daxNeighbours() {
    return RaceScenario.of(
            "dax-neighbours",
            "a DAX device is bound while its neighbour in the same page tables is unbound",
            Stage.DEVICES,
            world -> {
              world.bind(0);
              return Race.of(() -> world.bind(1), () -> world.unbind(0));
            })
        .twin(
            Twin.without(Omissions.LOCK + " mem_hotplug_lock", "mem_hotplug_lock")
                .breaks(RuleBook.CRASH, "not-present ")
                .breaks(RuleBook.FREED, "freed-frame-access ")
                .breaks("memmap-frame-owner", "frame=")
                .breaks("memmap-frames-booked", "count="));
  }

  private static RaceScenario pfnValid() {
    return RaceScenario.of(
            "pfn-valid",
            "the memory of a device is removed, another CPU asks pfn_valid() without a lock",
            Stage.DEVICES,
            world -> {
              world.bind(0);
              long pfn = world.firstPfn(0);
              return Race.of(() -> world.unbind(0), () -> world.mm().mmzone().pfnValid(pfn));
            })
        .twin(
            Twin.without(Omissions.CALL_RCU, "kfree_rcu(): the usage record is freed at once")
                .breaks(
                    RuleBook.CRASH,
                    "BUG: kernel BUG at use-after-free: struct mem_section_usage "));
  }

  /** Who looks too late gets an oops, and who looked in time has the translation still. */
  private static RaceScenario removalFlush() {
    return RaceScenario.of(
            "removal-flush",
            "the memmap of a device is freed, another CPU has looked at a struct page of it",
            Stage.DEVICES,
            world -> {
              world.bind(0);
              Page first = world.mm().model().pfnToPage(world.firstPfn(0));
              return Race.of(
                  () -> world.unbind(0),
                  () -> RaceWorld.allow("not-present", () -> world.look(first)));
            })
        .on(World.of("arm64-4K-48"))
        .finding(
            "x86 and powerpc: the memmap of removed memory is free before its flush",
            world -> !world.name().startsWith(Profile.ARM64))
        .twin(
            Twin.local(
                    "unmap_hotplug_pte_range",
                    Omissions.FLUSH_RANGE,
                    "flush_tlb_kernel_range() on the other CPUs before a page of memmap is freed")
                .breaks(RuleBook.FREED, "tlb-reaches-freed-frame "));
  }
}
