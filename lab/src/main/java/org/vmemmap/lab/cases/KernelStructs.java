// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.LinkedHashMap;
import java.util.Map;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.cases.StructLayout.CType;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.StructPage;

/**
 * The kernel's structures as one configuration lays them out. {@code struct page} and the section
 * records exist as bytes in the model, and what the model says of them goes before what is computed
 * here; the others are Java objects, and only their declarations are here.
 */
final class KernelStructs {
  private static final CType CHAR = CType.opaque("char", 1, 1);
  private static final CType BOOL = CType.opaque("bool", 1, 1);
  private static final CType INT = CType.opaque("int", 4, 4);
  private static final CType UNSIGNED = CType.opaque("unsigned int", 4, 4);
  private static final CType U64 = CType.opaque("u64", 8, 8);
  private static final CType LONG = CType.opaque("long int", 8, 8);
  private static final CType ULONG = CType.opaque("long unsigned int", 8, 8);
  private static final CType POINTER = pointer("void");
  private static final CType MUTEX = CType.opaque("struct mutex", 24, 8);
  private static final CType SPINLOCK = CType.opaque("spinlock_t", 4, 4);
  private static final CType SEQLOCK = CType.opaque("seqlock_t", 8, 4);
  private static final CType WORK = CType.opaque("struct work_struct", 32, 8);
  private static final CType WAIT_HEAD = CType.opaque("struct swait_queue_head", 24, 8);
  private static final CType NOTHING = CType.opaque("struct (anon)", 0, 1);
  private static final CType LLIST = StructLayout.of("struct llist_node", s -> s.field("next", POINTER));
  private static final CType ATOMIC = StructLayout.of("atomic_t", s -> s.field("counter", INT));
  private static final CType ATOMIC_LONG = CType.opaque("atomic_long_t", 8, 8);
  private static final CType MEMDESC =
      StructLayout.of("memdesc_flags_t", s -> s.field("f", ULONG));
  private static final CType SWP = StructLayout.of("swp_entry_t", s -> s.field("val", ULONG));
  private static final CType LIST =
      StructLayout.of(
          "struct list_head",
          s -> s.field("next", pointer("struct list_head")).field("prev", pointer("struct list_head")));
  private static final CType CALLBACK_HEAD = CType.opaque("struct callback_head", 16, 8);

  private static final int NR_WMARK = 4;
  private static final int MIGRATE_TYPES = 6;
  private static final int NR_VM_NUMA_EVENT_ITEMS = 6;
  private static final int NR_VM_ZONE_STAT_ITEMS = 11;
  private static final int HSTATE_NAME_LEN = 32;

  private final Mm mm;
  private final boolean x86;
  private final int cacheline;

  KernelStructs(Mm mm, String arch) {
    this.mm = mm;
    this.x86 = arch.equals(Profile.X86_64);
    this.cacheline = arch.equals(Profile.POWERPC) ? 128 : 64;
  }

  private static int words(int bits) {
    return (bits + Long.SIZE - 1) / Long.SIZE;
  }

  private static CType pointer(String to) {
    return CType.opaque(to + " *", 8, 8);
  }

  /** All structures, by name without "struct". */
  Map<String, Layout.Struct> all() {
    CType page = page();
    CType altmap = vmemAltmap();
    Map<String, Layout.Struct> all = new LinkedHashMap<>();
    all.put("page", withModel(page, mm.struct().size(), pageConstants()));
    all.put("folio", withModel(folio(page), 4 * mm.struct().size(), folioConstants()));
    all.put("mem_section", withModel(memSection(), mm.mmzone().sizeofMemSection(), Map.of()));
    CType usage = memSectionUsage();
    int flags = words(mm.mmzone().sectionBlockflagsBits()) * Long.BYTES;
    all.put(
        "mem_section_usage",
        withModel(usage, mm.mmzone().memSectionUsageSize() - flags, Map.of()));
    for (CType type : new CType[] {zone(), hstate(), altmap, devPagemap(altmap), bootmemPage()}) {
      all.put(type.name().replace("struct ", ""), withModel(type, type.size(), Map.of()));
    }
    return all;
  }

  /** The structure with the size and the offsets that the model uses. */
  private static Layout.Struct withModel(CType type, int size, Map<String, Integer> offsets) {
    Map<String, Layout.Field> fields = new LinkedHashMap<>(type.members());
    offsets.forEach(
        (name, offset) ->
            fields.computeIfPresent(
                name, (n, field) -> new Layout.Field(offset, field.size(), field.type())));
    return new Layout.Struct(size, fields);
  }

  private static Map<String, Integer> pageConstants() {
    return Map.ofEntries(
        Map.entry("flags", StructPage.FLAGS),
        Map.entry("compound_info", StructPage.COMPOUND_INFO),
        Map.entry("lru", StructPage.LRU),
        Map.entry("mapping", StructPage.MAPPING),
        Map.entry("__folio_index", StructPage.INDEX),
        Map.entry("private", StructPage.PRIVATE),
        Map.entry("_mapcount", StructPage.MAPCOUNT),
        Map.entry("page_type", StructPage.PAGE_TYPE),
        Map.entry("_refcount", StructPage.REFCOUNT),
        Map.entry("memcg_data", StructPage.MEMCG_DATA));
  }

  /** The model counts from the page that a field lies in. */
  private Map<String, Integer> folioConstants() {
    int one = mm.struct().size();
    int two = 2 * one;
    int three = 3 * one;
    return Map.ofEntries(
        Map.entry("_large_mapcount", one + StructPage.LARGE_MAPCOUNT),
        Map.entry("_nr_pages_mapped", one + StructPage.NR_PAGES_MAPPED),
        Map.entry("_entire_mapcount", one + StructPage.ENTIRE_MAPCOUNT),
        Map.entry("_pincount", one + StructPage.PINCOUNT),
        Map.entry("_mm_id_mapcount", one + StructPage.MM_ID_MAPCOUNT),
        Map.entry("_mm_ids", one + StructPage.MM_IDS),
        Map.entry("_nr_pages", one + StructPage.NR_PAGES),
        Map.entry("_deferred_list", two + StructPage.DEFERRED_LIST),
        Map.entry("_hugetlb_subpool", three + StructPage.HUGETLB_SUBPOOL),
        Map.entry("_hugetlb_cgroup", three + StructPage.HUGETLB_CGROUP),
        Map.entry("_hugetlb_cgroup_rsvd", three + StructPage.HUGETLB_CGROUP_RSVD),
        Map.entry("_hugetlb_hwpoison", three + StructPage.HUGETLB_HWPOISON));
  }

  @Kernel(file = "include/linux/mm_types.h", symbol = "struct page")
  private CType page() {
    return StructLayout.of(
        "struct page",
        page -> {
          page.field("flags", MEMDESC).union(KernelStructs::pageUses);
          page.union(u -> u.field("page_type", UNSIGNED).field("_mapcount", ATOMIC));
          page.field("_refcount", ATOMIC);
          if (mm.config().memcg()) {
            page.field("memcg_data", ULONG);
          }
        });
  }

  private static void pageUses(StructLayout uses) {
    uses.struct(
        s -> {
          s.union(
              u ->
                  u.field("lru", LIST)
                      .field("buddy_list", LIST)
                      .field("pcp_list", LIST)
                      .field("pcp_llist", LLIST));
          s.field("mapping", pointer("struct address_space"));
          s.union(u -> u.field("__folio_index", ULONG).field("share", ULONG));
          s.field("private", ULONG);
        });
    uses.struct(
        s ->
            s.field("pp_magic", ULONG)
                .field("pp", pointer("struct page_pool"))
                .field("_pp_mapping_pad", ULONG)
                .field("dma_addr", ULONG)
                .field("pp_ref_count", ATOMIC_LONG));
    uses.field("compound_info", ULONG);
    uses.struct(
        s -> s.field("_unused_pgmap_compound_info", POINTER).field("zone_device_data", POINTER));
    uses.field("callback_head", CALLBACK_HEAD);
  }

  @Kernel(file = "include/linux/mm_types.h", symbol = "struct folio")
  private CType folio(CType page) {
    return StructLayout.of(
        "struct folio",
        folio ->
            folio
                .union(u -> u.struct(this::folioHead).field("page", page))
                .union(u -> u.struct(this::folioOne).field("__page_1", page))
                .union(u -> u.struct(KernelStructs::folioTwo).field("__page_2", page))
                .union(u -> u.struct(KernelStructs::folioThree).field("__page_3", page)));
  }

  private void folioHead(StructLayout head) {
    head.field("flags", MEMDESC)
        .union(
            u ->
                u.field("lru", LIST)
                    .struct(s -> s.field("__filler", POINTER).field("mlock_count", UNSIGNED))
                    .field("pgmap", pointer("struct dev_pagemap")))
        .field("mapping", pointer("struct address_space"))
        .union(u -> u.field("index", ULONG).field("share", ULONG))
        .union(u -> u.field("private", POINTER).field("swap", SWP).field("migrate_info", ULONG))
        .field("_mapcount", ATOMIC)
        .field("_refcount", ATOMIC);
    if (mm.config().memcg()) {
      head.field("memcg_data", ULONG);
    }
  }

  private void folioOne(StructLayout one) {
    one.field("_flags_1", ULONG).field("_head_1", ULONG);
    one.union(
        u ->
            u.struct(KernelStructs::folioCounts)
                .array("_usable_1", ULONG, 4));
    one.field("_mapcount_1", ATOMIC).field("_refcount_1", ATOMIC);
    if (mm.config().memcg()) {
      one.field("_nr_pages", UNSIGNED);
    }
  }

  private static void folioCounts(StructLayout counts) {
    counts
        .field("_large_mapcount", ATOMIC)
        .field("_nr_pages_mapped", ATOMIC)
        .field("_entire_mapcount", ATOMIC)
        .field("_pincount", ATOMIC)
        .array("_mm_id_mapcount", CType.opaque("mm_id_mapcount_t", 4, 4), 2)
        .union(
            u -> u.array("_mm_id", CType.opaque("mm_id_t", 4, 4), 2).field("_mm_ids", ULONG));
  }

  private static void folioTwo(StructLayout two) {
    two.field("_flags_2", ULONG).field("_head_2", ULONG).field("_deferred_list", LIST);
  }

  private static void folioThree(StructLayout three) {
    three
        .field("_flags_3", ULONG)
        .field("_head_3", ULONG)
        .field("_hugetlb_subpool", POINTER)
        .field("_hugetlb_cgroup", POINTER)
        .field("_hugetlb_cgroup_rsvd", POINTER)
        .field("_hugetlb_hwpoison", POINTER);
  }

  @Kernel(file = "include/linux/mmzone.h", symbol = "struct mem_section")
  private CType memSection() {
    return StructLayout.of(
        "struct mem_section",
        s -> {
          s.field("section_mem_map", ULONG).field("usage", pointer("struct mem_section_usage"));
          if (mm.config().pageExtension()) {
            s.field("page_ext", pointer("struct page_ext")).field("pad", ULONG);
          }
        });
  }

  @Kernel(file = "include/linux/mmzone.h", symbol = "struct mem_section_usage")
  private CType memSectionUsage() {
    int words = words(mm.mmzone().subsectionsPerSection());
    return StructLayout.of(
        "struct mem_section_usage",
        s ->
            s.field("rcu", CALLBACK_HEAD)
                .array("subsection_map", ULONG, words)
                .array("pageblock_flags", ULONG, 0));
  }

  @Kernel(file = "include/linux/mmzone.h", symbol = "struct zone")
  private CType zone() {
    return StructLayout.of(
        "struct zone",
        zone -> {
          zoneReadMostly(zone);
          zone.alignTo(cacheline);
          zoneFreeAreas(zone);
          zone.alignTo(cacheline);
          zoneCompaction(zone);
          zone.alignTo(cacheline);
          zone.array("vm_stat", ATOMIC_LONG, NR_VM_ZONE_STAT_ITEMS + (x86 ? 1 : 0));
          zone.array("vm_numa_event", ATOMIC_LONG, NR_VM_NUMA_EVENT_ITEMS);
          if (mm.config().hugetlbOptimizeVmemmap()) {
            zone.array("vmemmap_tails", pointer("struct page"), mm.mmzone().nrVmemmapTails());
          }
        });
  }

  private void zoneReadMostly(StructLayout zone) {
    zone.array("_watermark", ULONG, NR_WMARK)
        .field("watermark_boost", ULONG)
        .field("nr_reserved_highatomic", ULONG)
        .field("nr_free_highatomic", ULONG)
        .array("lowmem_reserve", LONG, mm.zones().maxNrZones())
        .field("node", INT)
        .field("zone_pgdat", pointer("struct pglist_data"))
        .field("per_cpu_pageset", pointer("struct per_cpu_pages"))
        .field("per_cpu_zonestats", pointer("struct per_cpu_zonestat"))
        .field("pageset_high_min", INT)
        .field("pageset_high_max", INT)
        .field("pageset_batch", INT)
        .field("zone_start_pfn", ULONG)
        .field("managed_pages", ATOMIC_LONG)
        .field("spanned_pages", ULONG)
        .field("present_pages", ULONG)
        .field("present_early_pages", ULONG)
        .field("cma_pages", ULONG)
        .field("name", pointer("char"))
        .field("nr_isolate_pageblock", ULONG)
        .field("span_seqlock", SEQLOCK)
        .field("initialized", INT);
  }

  /** A PC may have memory that its firmware has not accepted yet, and the zone a list of it. */
  private void zoneFreeAreas(StructLayout zone) {
    CType area =
        StructLayout.of(
            "struct free_area",
            s -> s.array("free_list", LIST, MIGRATE_TYPES).field("nr_free", ULONG));
    zone.array("free_area", area, mm.config().maxPageOrder() + 1);
    if (x86) {
      zone.field("unaccepted_pages", LIST).field("unaccepted_cleanup", WORK);
    }
    zone.field("flags", ULONG).field("lock", SPINLOCK).field("trylock_free_pages", LLIST);
  }

  private static void zoneCompaction(StructLayout zone) {
    zone.field("percpu_drift_mark", ULONG)
        .field("compact_cached_free_pfn", ULONG)
        .array("compact_cached_migrate_pfn", ULONG, 2)
        .field("compact_init_migrate_pfn", ULONG)
        .field("compact_init_free_pfn", ULONG)
        .field("compact_considered", UNSIGNED)
        .field("compact_defer_shift", UNSIGNED)
        .field("compact_order_failed", INT)
        .field("compact_blockskip_flush", BOOL)
        .field("contiguous", BOOL);
  }

  @Kernel(file = "include/linux/hugetlb.h", symbol = "struct hstate")
  private CType hstate() {
    int nodes = 1 << mm.config().nodesShift();
    return StructLayout.of(
        "struct hstate",
        s ->
            s.field("resize_lock", MUTEX)
                .field("resize_key", CType.opaque("struct lock_class_key", 0, 1))
                .field("next_nid_to_alloc", INT)
                .field("next_nid_to_free", INT)
                .field("order", UNSIGNED)
                .field("demote_order", UNSIGNED)
                .field("mask", ULONG)
                .field("max_huge_pages", ULONG)
                .field("nr_huge_pages", ULONG)
                .field("free_huge_pages", ULONG)
                .field("resv_huge_pages", ULONG)
                .field("surplus_huge_pages", ULONG)
                .field("nr_overcommit_huge_pages", ULONG)
                .field("hugepage_activelist", LIST)
                .array("hugepage_freelists", LIST, nodes)
                .array("max_huge_pages_node", UNSIGNED, nodes)
                .array("nr_huge_pages_node", UNSIGNED, nodes)
                .array("free_huge_pages_node", UNSIGNED, nodes)
                .array("surplus_huge_pages_node", UNSIGNED, nodes)
                .array("name", CHAR, HSTATE_NAME_LEN));
  }

  @Kernel(file = "mm/internal.h", symbol = "struct huge_bootmem_page")
  private static CType bootmemPage() {
    return StructLayout.of(
        "struct huge_bootmem_page",
        s -> s.field("list", LIST).field("hstate", pointer("struct hstate")).field("flags", ULONG));
  }

  @Kernel(file = "include/linux/memremap.h", symbol = "struct vmem_altmap")
  private static CType vmemAltmap() {
    return StructLayout.of(
        "struct vmem_altmap",
        s ->
            s.field("base_pfn", ULONG)
                .field("end_pfn", ULONG)
                .field("reserve", ULONG)
                .field("free", ULONG)
                .field("align", ULONG)
                .field("alloc", ULONG));
  }

  @Kernel(file = "include/linux/memremap.h", symbol = "struct dev_pagemap")
  private static CType devPagemap(CType altmap) {
    CType ref =
        StructLayout.of(
            "struct percpu_ref",
            s ->
                s.field("percpu_count_ptr", ULONG)
                    .field("data", pointer("struct percpu_ref_data")));
    CType done =
        StructLayout.of(
            "struct completion", s -> s.field("done", UNSIGNED).field("wait", WAIT_HEAD));
    CType range =
        StructLayout.of("struct range", s -> s.field("start", U64).field("end", U64));
    return StructLayout.of(
        "struct dev_pagemap",
        s ->
            s.field("altmap", altmap)
                .field("ref", ref)
                .field("done", done)
                .field("type", CType.opaque("enum memory_type", 4, 4))
                .field("flags", UNSIGNED)
                .field("vmemmap_shift", ULONG)
                .field("ops", pointer("struct dev_pagemap_ops"))
                .field("owner", POINTER)
                .field("nr_range", INT)
                .union(
                    u ->
                        u.field("range", range)
                            .struct(r -> r.field("__empty_ranges", NOTHING).array("ranges", range, 0))));
  }
}
