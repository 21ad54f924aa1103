// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.ZoneType;

/** The model's layouts against those of real kernels, read from their type information. */
class LayoutTest {
  private static Layout layout(String name) {
    return Layout.read(GivenCases.root().resolve("layout").resolve(name + ".json"));
  }

  private static long constant(Layout layout, String type, String name) {
    return Objects.requireNonNull(Objects.requireNonNull(layout.enums().get(type)).get(name));
  }

  /** The fields of struct page lie where every captured kernel has them. */
  @ParameterizedTest
  @ValueSource(strings = {"x86-64", "arm64-4k", "arm64-16k", "powerpc-4k", "powerpc-64k"})
  void structPage_fields_lieWhereTheKernelHasThem(String name) {
    Layout.Struct page = layout(name).struct("page");

    assertEquals(MmConfig.debianX86().sizeofStructPage(), page.size());
    assertEquals(StructPage.FLAGS, page.field("flags").offset());
    assertEquals(StructPage.COMPOUND_INFO, page.field("compound_info").offset());
    assertEquals(StructPage.LRU, page.field("lru").offset());
    assertEquals(StructPage.MAPPING, page.field("mapping").offset());
    assertEquals(StructPage.INDEX, page.field("__folio_index").offset());
    assertEquals(StructPage.PRIVATE, page.field("private").offset());
    assertEquals(StructPage.MAPCOUNT, page.field("_mapcount").offset());
    assertEquals(StructPage.PAGE_TYPE, page.field("page_type").offset());
    assertEquals(StructPage.REFCOUNT, page.field("_refcount").offset());
    assertEquals(StructPage.MEMCG_DATA, page.field("memcg_data").offset());
  }

  /** The folio's fields in pages 1 to 3; offsets in the folio are 64 a page. */
  @ParameterizedTest
  @ValueSource(strings = {"x86-64", "arm64-4k", "arm64-16k", "powerpc-4k", "powerpc-64k"})
  void folio_fields_lieWhereTheKernelHasThem(String name) {
    Layout.Struct folio = layout(name).struct("folio");

    assertEquals(64 + StructPage.LARGE_MAPCOUNT, folio.field("_large_mapcount").offset());
    assertEquals(64 + StructPage.NR_PAGES_MAPPED, folio.field("_nr_pages_mapped").offset());
    assertEquals(64 + StructPage.ENTIRE_MAPCOUNT, folio.field("_entire_mapcount").offset());
    assertEquals(64 + StructPage.PINCOUNT, folio.field("_pincount").offset());
    assertEquals(64 + StructPage.MM_IDS, folio.field("_mm_ids").offset());
    assertEquals(64 + StructPage.NR_PAGES, folio.field("_nr_pages").offset());
    assertEquals(128 + StructPage.DEFERRED_LIST, folio.field("_deferred_list").offset());
    assertEquals(192 + StructPage.HUGETLB_SUBPOOL, folio.field("_hugetlb_subpool").offset());
    assertEquals(192 + StructPage.HUGETLB_CGROUP, folio.field("_hugetlb_cgroup").offset());
    assertEquals(
        192 + StructPage.HUGETLB_CGROUP_RSVD, folio.field("_hugetlb_cgroup_rsvd").offset());
    assertEquals(192 + StructPage.HUGETLB_HWPOISON, folio.field("_hugetlb_hwpoison").offset());
  }

  /** The map counts by mm, whose array the type information names in two ways. */
  @Test
  void folio_mmIdMapcounts_lieWhereTheKernelHasThem() {
    Layout.Struct folio = layout("x86-64").struct("folio");

    assertEquals(64 + StructPage.MM_ID_MAPCOUNT, folio.field("_mm_id_mapcount[2]").offset());
  }

  /** Numbers of page flags. */
  @ParameterizedTest
  @CsvSource({
    "PG_locked, " + PageFlags.PG_LOCKED,
    "PG_writeback, " + PageFlags.PG_WRITEBACK,
    "PG_referenced, " + PageFlags.PG_REFERENCED,
    "PG_uptodate, " + PageFlags.PG_UPTODATE,
    "PG_dirty, " + PageFlags.PG_DIRTY,
    "PG_lru, " + PageFlags.PG_LRU,
    "PG_head, " + PageFlags.PG_HEAD,
    "PG_waiters, " + PageFlags.PG_WAITERS,
    "PG_active, " + PageFlags.PG_ACTIVE,
    "PG_workingset, " + PageFlags.PG_WORKINGSET,
    "PG_owner_priv_1, " + PageFlags.PG_OWNER_PRIV_1,
    "PG_owner_2, " + PageFlags.PG_OWNER_2,
    "PG_arch_1, " + PageFlags.PG_ARCH_1,
    "PG_reserved, " + PageFlags.PG_RESERVED,
    "PG_private, " + PageFlags.PG_PRIVATE,
    "PG_private_2, " + PageFlags.PG_PRIVATE_2,
    "PG_reclaim, " + PageFlags.PG_RECLAIM,
    "PG_swapbacked, " + PageFlags.PG_SWAPBACKED,
    "PG_unevictable, " + PageFlags.PG_UNEVICTABLE,
    "PG_dropbehind, " + PageFlags.PG_DROPBEHIND,
    "PG_mlocked, " + PageFlags.PG_MLOCKED,
    "PG_hwpoison, " + PageFlags.PG_HWPOISON,
    "PG_vmemmap_self_hosted, " + PageFlags.PG_VMEMMAP_SELF_HOSTED,
    "__NR_PAGEFLAGS, " + PageFlags.NR_PAGEFLAGS
  })
  void pageFlag_number_isTheKernels(String name, long number) {
    assertEquals(constant(layout("x86-64"), "pageflags", name), number);
  }

  /** Numbers of page types. */
  @ParameterizedTest
  @CsvSource({
    "PGTY_buddy, " + PageFlags.PGTY_BUDDY, "PGTY_offline, " + PageFlags.PGTY_OFFLINE,
    "PGTY_table, " + PageFlags.PGTY_TABLE, "PGTY_hugetlb, " + PageFlags.PGTY_HUGETLB,
    "PGTY_slab, " + PageFlags.PGTY_SLAB
  })
  void pageType_number_isTheKernels(String name, long number) {
    assertEquals(constant(layout("x86-64"), "pagetype", name), number);
  }

  /** Numbers of HugeTLB flags: the enum has the kernel's, in its order. */
  @Test
  void hugetlbFlags_numbers_areTheKernels() {
    Layout x86 = layout("x86-64");

    for (HugetlbPageFlag flag : HugetlbPageFlag.values()) {
      assertEquals(
          1L << constant(x86, "hugetlb_page_flags", kernelName(flag)), flag.mask(), flag.name());
    }
    assertEquals(
        constant(x86, "hugetlb_page_flags", "__NR_HPAGEFLAGS"), HugetlbPageFlag.values().length);
  }

  private static String kernelName(HugetlbPageFlag flag) {
    return "HPG_" + flag.name().replace("HPG_", "").toLowerCase(java.util.Locale.ROOT);
  }

  /** Numbers of zones and of kinds of device memory. */
  @Test
  void zoneAndMemoryTypes_numbers_areTheKernels() {
    Layout x86 = layout("x86-64");

    List<ZoneType> zones = List.of(ZoneType.values());
    for (ZoneType zone : zones) {
      assertEquals(constant(x86, "zone_type", zone.name()), zones.indexOf(zone), zone.name());
    }
    assertEquals(constant(x86, "zone_type", "__MAX_NR_ZONES"), ZoneType.MAX_NR_ZONES);
    for (DevPagemap.MemoryType type : DevPagemap.MemoryType.values()) {
      assertEquals(constant(x86, "memory_type", type.name()), type.number(), type.name());
    }
  }

  /** Word 0 of a struct page: node, zone and last_cpupid sit where the kernel has them. */
  @Test
  void wordZero_fields_areTheKernels() {
    Layout.WordZero word = layout("x86-64").wordZero();
    Mm mm = MadeMm.x86();
    long node = 5;
    long zone = constant(layout("x86-64"), "zone_type", "ZONE_MOVABLE");

    long flags = mm.inline().initialFlags(ZoneType.ZONE_MOVABLE, (int) node);

    assertEquals(node, flags >>> word.nodeShift() & ((1L << word.nodeBits()) - 1));
    assertEquals(zone, flags >>> word.zoneShift() & ((1L << word.zoneBits()) - 1));
    long cpupid = ((1L << word.lastCpupidBits()) - 1) << word.lastCpupidShift();
    assertEquals(cpupid, flags & cpupid);
    assertEquals(node << word.nodeShift() | zone << word.zoneShift() | cpupid, flags);
  }

  /** mem_section has the kernel's size, usage records too, and the tails their range of orders. */
  @Test
  void sectionsAndTails_sizes_areTheKernels() {
    Layout x86 = layout("x86-64");
    Mm mm = MadeMm.x86();
    Layout.Tails tails = x86.tails();

    assertEquals(x86.struct("mem_section").size(), mm.mmzone().sizeofMemSection());
    assertEquals(
        x86.struct("mem_section_usage").size() + mm.mmzone().sectionBlockflagsBits() / 8,
        mm.mmzone().memSectionUsageSize());
    assertNotNull(tails);
    assertEquals(tails.minOrder(), mm.mmzone().vmemmapTailMinOrder());
    assertEquals(tails.maxOrder(), mm.mmzone().maxFolioOrder());
    assertEquals(tails.entries(), mm.mmzone().nrVmemmapTails());
  }

  /** A layout of another schema is refused with its place. */
  @Test
  void parse_otherSchema_isRefused() {
    String text = "{\"schema\": \"vmemmap-case/1\"}";

    BadInput thrown = assertThrows(BadInput.class, () -> Layout.parse("f", text));

    assertEquals(
        "f:1:12: \"schema\" of a layout file is \"vmemmap-case/1\"; wanted \"vmemmap-layout/1\"",
        thrown.getMessage());
  }

  /** What a layout file says of a structure is kept. */
  @Test
  void parse_struct_keepsFields() {
    Map<String, Layout.Field> fields = layout("x86-64").struct("vmem_altmap").fields();

    assertEquals(new Layout.Field(16, 8, "const long unsigned int"), fields.get("reserve"));
  }
}
