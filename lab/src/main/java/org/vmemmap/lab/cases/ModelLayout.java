// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.PageFlagsLayout;
import org.vmemmap.types.Series;
import org.vmemmap.types.ZoneType;

/** The model's layouts in the form of a layout file: what a kernel of this build would say. */
final class ModelLayout {
  private static final long MEMORY = 1L << 30;
  private static final int K4 = 4096;
  private static final int K16 = 16384;
  private static final int K64 = 65536;

  private ModelLayout() {}

  /**
   * The layouts of the model's kernel of the build that the file is of.
   *
   * @param series which patches the model's kernel has
   * @throws BadInput for a file of a kernel that the model does not have
   */
  static Layout of(Layout file, Series series) {
    MachineSpec spec = machine(file).withSeries(series);
    return of(file.name(), LabKernel.bootEarly(spec).mm(), spec.arch());
  }

  private static Layout of(String name, Mm mm, String arch) {
    Map<String, Map<String, Long>> enums = new TreeMap<>();
    enums.put("pageflags", pageflags(mm.flags()));
    enums.put("zone_type", zoneTypes(mm));
    enums.put("memory_type", memoryTypes());
    enums.put("hugetlb_page_flags", hugetlbPageFlags());
    enums.put("pagetype", pagetypes());
    return new Layout(name, new KernelStructs(mm, arch).all(), enums, wordZero(mm), tails(mm));
  }

  /** A small machine of the kernel that the file is of. */
  private static MachineSpec machine(Layout file) {
    return switch (file.name()) {
      case "layout/x86-64" -> MachineSpecs.ofSize(MEMORY, 1, List.of(), 4, List.of());
      case "layout/arm64-4k" -> board(Boards.arm64(K4, null));
      case "layout/arm64-16k" -> board(Boards.arm64(K16, null));
      case "layout/powerpc-4k" -> board(Boards.powerpc(K4, Profile.RADIX));
      case "layout/powerpc-64k" -> board(Boards.powerpc(K64, Profile.RADIX));
      default ->
          throw new BadInput(
              "layout file with the name \""
                  + file.name()
                  + "\": wanted layout/ and x86-64, arm64-4k, arm64-16k, powerpc-4k or powerpc-64k");
    };
  }

  private static MachineSpec board(Profile profile) {
    return Boards.ofSize(profile, MEMORY, 1, List.of(), List.of());
  }

  // ---- enums ----

  @Kernel(file = "include/linux/page-flags.h", symbol = "enum pageflags")
  private static Map<String, Long> pageflags(PageFlags flags) {
    Map<String, Long> all = new TreeMap<>();
    ownFlags().forEach((name, number) -> all.put("PG_" + name, (long) number));
    secondNames().forEach((name, number) -> all.put("PG_" + name, (long) number));
    if (flags.pgArch2() >= 0) {
      all.put("PG_arch_2", (long) flags.pgArch2());
    }
    if (flags.pgArch3() >= 0) {
      all.put("PG_arch_3", (long) flags.pgArch3());
    }
    all.put("__NR_PAGEFLAGS", (long) flags.nrPageflags());
    return all;
  }

  private static Map<String, Integer> ownFlags() {
    return Map.ofEntries(
        Map.entry("locked", PageFlags.PG_LOCKED),
        Map.entry("writeback", PageFlags.PG_WRITEBACK),
        Map.entry("referenced", PageFlags.PG_REFERENCED),
        Map.entry("uptodate", PageFlags.PG_UPTODATE),
        Map.entry("dirty", PageFlags.PG_DIRTY),
        Map.entry("lru", PageFlags.PG_LRU),
        Map.entry("head", PageFlags.PG_HEAD),
        Map.entry("waiters", PageFlags.PG_WAITERS),
        Map.entry("active", PageFlags.PG_ACTIVE),
        Map.entry("workingset", PageFlags.PG_WORKINGSET),
        Map.entry("owner_priv_1", PageFlags.PG_OWNER_PRIV_1),
        Map.entry("owner_2", PageFlags.PG_OWNER_2),
        Map.entry("arch_1", PageFlags.PG_ARCH_1),
        Map.entry("reserved", PageFlags.PG_RESERVED),
        Map.entry("private", PageFlags.PG_PRIVATE),
        Map.entry("private_2", PageFlags.PG_PRIVATE_2),
        Map.entry("reclaim", PageFlags.PG_RECLAIM),
        Map.entry("swapbacked", PageFlags.PG_SWAPBACKED),
        Map.entry("unevictable", PageFlags.PG_UNEVICTABLE),
        Map.entry("dropbehind", PageFlags.PG_DROPBEHIND),
        Map.entry("mlocked", PageFlags.PG_MLOCKED),
        Map.entry("hwpoison", PageFlags.PG_HWPOISON),
        Map.entry("young", PageFlags.PG_YOUNG),
        Map.entry("idle", PageFlags.PG_IDLE));
  }

  /** Flags that share the bit of another one, which pages of their kind do not use. */
  private static Map<String, Integer> secondNames() {
    return Map.ofEntries(
        Map.entry("readahead", PageFlags.PG_RECLAIM),
        Map.entry("swapcache", PageFlags.PG_OWNER_PRIV_1),
        Map.entry("checked", PageFlags.PG_OWNER_PRIV_1),
        Map.entry("anon_exclusive", PageFlags.PG_OWNER_2),
        Map.entry("mappedtodisk", PageFlags.PG_OWNER_2),
        Map.entry("fscache", PageFlags.PG_PRIVATE_2),
        Map.entry("pinned", PageFlags.PG_OWNER_PRIV_1),
        Map.entry("savepinned", PageFlags.PG_DIRTY),
        Map.entry("foreign", PageFlags.PG_OWNER_PRIV_1),
        Map.entry("xen_remapped", PageFlags.PG_OWNER_PRIV_1),
        Map.entry("movable_ops_isolated", PageFlags.PG_RECLAIM),
        Map.entry("movable_ops", PageFlags.PG_UPTODATE),
        Map.entry("reported", PageFlags.PG_UPTODATE),
        Map.entry("vmemmap_self_hosted", PageFlags.PG_VMEMMAP_SELF_HOSTED),
        Map.entry("has_hwpoisoned", PageFlags.PG_ACTIVE),
        Map.entry("large_rmappable", PageFlags.PG_WORKINGSET),
        Map.entry("partially_mapped", PageFlags.PG_RECLAIM));
  }

  @Kernel(file = "include/linux/mmzone.h", symbol = "enum zone_type")
  private static Map<String, Long> zoneTypes(Mm mm) {
    Map<String, Long> all = new TreeMap<>();
    for (ZoneType type : mm.zones().types()) {
      all.put(type.name(), (long) mm.zones().number(type));
    }
    all.put("__MAX_NR_ZONES", (long) mm.zones().maxNrZones());
    return all;
  }

  private static Map<String, Long> memoryTypes() {
    Map<String, Long> all = new TreeMap<>();
    for (DevPagemap.MemoryType type : DevPagemap.MemoryType.values()) {
      all.put(type.name(), (long) type.number());
    }
    return all;
  }

  private static Map<String, Long> hugetlbPageFlags() {
    Map<String, Long> all = new TreeMap<>();
    for (HugetlbPageFlag flag : HugetlbPageFlag.values()) {
      String name = "HPG_" + flag.name().replace("HPG_", "").toLowerCase(Locale.ROOT);
      all.put(name, (long) Long.numberOfTrailingZeros(flag.mask()));
    }
    all.put("__NR_HPAGEFLAGS", (long) HugetlbPageFlag.values().length);
    return all;
  }

  /** The types that the model gives to pages, and those that are only numbers here. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "enum pagetype")
  private static Map<String, Long> pagetypes() {
    return Map.of(
        "PGTY_buddy", (long) PageFlags.PGTY_BUDDY,
        "PGTY_offline", (long) PageFlags.PGTY_OFFLINE,
        "PGTY_table", (long) PageFlags.PGTY_TABLE,
        "PGTY_guard", 0xf3L,
        "PGTY_hugetlb", (long) PageFlags.PGTY_HUGETLB,
        "PGTY_slab", (long) PageFlags.PGTY_SLAB,
        "PGTY_zsmalloc", 0xf6L,
        "PGTY_unaccepted", 0xf7L,
        "PGTY_large_kmalloc", 0xf8L,
        "PGTY_mapcount_underflow", 0xffL);
  }

  // ---- fields that are no members ----

  private static Layout.WordZero wordZero(Mm mm) {
    PageFlagsLayout word = mm.inline().pageFlagsLayout();
    return new Layout.WordZero(
        word.nodesPgshift(),
        word.nodesWidth(),
        word.zonesPgshift(),
        word.zonesWidth(),
        word.lastCpupidPgshift(),
        word.lastCpupidWidth());
  }

  private static Layout.@Nullable Tails tails(Mm mm) {
    if (!mm.config().hugetlbOptimizeVmemmap()) {
      return null;
    }
    return new Layout.Tails(
        mm.mmzone().vmemmapTailMinOrder(),
        mm.mmzone().maxFolioOrder(),
        mm.mmzone().nrVmemmapTails());
  }
}
