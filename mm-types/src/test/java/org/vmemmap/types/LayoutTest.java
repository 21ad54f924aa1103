// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Layouts drawn and implemented here, against the type information of real kernels. */
class LayoutTest {
  private static final Path MAIN = Path.of("src/main/java/org/vmemmap/types");
  private static final Pattern ROW = Pattern.compile("^ \\* +(\\d+) +\\| (.*)$");
  private static final int PAGE = 64;

  /** Offsets that the code uses. Expect those of all five captured kernels. */
  @ParameterizedTest
  @ValueSource(strings = {"x86-64", "arm64-4k", "arm64-16k", "powerpc-4k", "powerpc-64k"})
  void offsets_capturedKernels_areTheirs(String kernel) throws IOException {
    JsonObject page = struct(kernel, "page");
    JsonObject folio = struct(kernel, "folio");

    assertEquals(PAGE, page.get("size").getAsInt());
    assertEquals(StructPage.FLAGS, offset(page, "flags"));
    assertEquals(StructPage.COMPOUND_INFO, offset(page, "compound_info"));
    assertEquals(StructPage.LRU, offset(page, "lru"));
    assertEquals(StructPage.MAPPING, offset(page, "mapping"));
    assertEquals(StructPage.INDEX, offset(folio, "index"));
    assertEquals(StructPage.PRIVATE, offset(page, "private"));
    assertEquals(StructPage.MAPCOUNT, offset(page, "_mapcount"));
    assertEquals(StructPage.PAGE_TYPE, offset(page, "page_type"));
    assertEquals(StructPage.REFCOUNT, offset(page, "_refcount"));
    assertEquals(StructPage.MEMCG_DATA, offset(page, "memcg_data"));
    assertEquals(StructPage.LARGE_MAPCOUNT, offset(folio, "_large_mapcount") - PAGE);
    assertEquals(StructPage.NR_PAGES_MAPPED, offset(folio, "_nr_pages_mapped") - PAGE);
    assertEquals(StructPage.ENTIRE_MAPCOUNT, offset(folio, "_entire_mapcount") - PAGE);
    assertEquals(StructPage.PINCOUNT, offset(folio, "_pincount") - PAGE);
    assertEquals(StructPage.MM_ID_MAPCOUNT, offset(folio, "_mm_id_mapcount") - PAGE);
    assertEquals(StructPage.MM_IDS, offset(folio, "_mm_ids") - PAGE);
    assertEquals(StructPage.NR_PAGES, offset(folio, "_nr_pages") - PAGE);
    assertEquals(StructPage.DEFERRED_LIST, offset(folio, "_deferred_list") - 2 * PAGE);
    assertEquals(StructPage.HUGETLB_SUBPOOL, offset(folio, "_hugetlb_subpool") - 3 * PAGE);
    assertEquals(StructPage.HUGETLB_CGROUP, offset(folio, "_hugetlb_cgroup") - 3 * PAGE);
    assertEquals(StructPage.HUGETLB_CGROUP_RSVD, offset(folio, "_hugetlb_cgroup_rsvd") - 3 * PAGE);
    assertEquals(StructPage.HUGETLB_HWPOISON, offset(folio, "_hugetlb_hwpoison") - 3 * PAGE);
  }

  /**
   * The diagram beside the offsets: every field name in it, by row and column. Expect it to lie
   * where the kernel has it, and the diagram to name all words of a struct page.
   */
  @Test
  void diagram_structPage_matchesTheKernel() throws IOException {
    JsonObject folio = struct("x86-64", "folio");
    JsonObject page = struct("x86-64", "page");
    List<String> checked = new ArrayList<>();
    for (String line : Files.readAllLines(MAIN.resolve("StructPage.java"))) {
      Matcher row = ROW.matcher(line);
      if (row.matches()) {
        checkRow(page, folio, Integer.parseInt(row.group(1)), row.group(2), checked);
      }
    }
    assertEquals(
        "flags _flags_1 _flags_2 _flags_3 compound_info _head_1 _head_2 _head_3 lru.prev"
            + " _large_mapcount _deferred_list _hugetlb_subpool _nr_pages_mapped mapping"
            + " _entire_mapcount _deferred_list _hugetlb_cgroup _pincount index share"
            + " _mm_id_mapcount[2] _hugetlb_cgroup_rsvd private _mm_ids _hugetlb_hwpoison"
            + " _mapcount page_type _refcount memcg_data",
        String.join(" ", checked));
  }

  private static void checkRow(
      JsonObject page, JsonObject folio, int offset, String cells, List<String> checked) {
    String[] columns = cells.split("\\|", -1);
    for (int column = 0; column < columns.length; column++) {
      for (String cell : columns[column].split(",", -1)) {
        String name = cell.replaceAll("[:(].*", "").replaceAll(" or$", "").trim();
        if (!name.isEmpty() && !name.equals("or") && !name.startsWith(".")) {
          JsonObject field = named(column == 0 ? page : folio, folio, base(name));
          int start = field.get("offset").getAsInt() - column * PAGE;
          int end = start + field.get("size").getAsInt();
          assertTrue(start <= offset && offset < end, name + " at " + offset);
          checked.add(name);
        }
      }
    }
  }

  private static String base(String name) {
    return name.replaceAll("[.\\[].*", "");
  }

  /** Word 0 as drawn and as packed. Expect node, zone and last_cpupid where the kernel has them. */
  @Test
  void diagram_wordZero_matchesTheKernel() throws IOException {
    JsonObject word = TestMm.read("layout/x86-64.json").getAsJsonObject("wordZero");
    int node = word.get("nodeShift").getAsInt();
    int zone = word.get("zoneShift").getAsInt();
    int cpupid = word.get("lastCpupidShift").getAsInt();
    int flags = TestMm.debian().flags().nrPageflags();
    List<Integer> expected =
        List.of(63, node, node - 1, zone, zone - 1, cpupid, cpupid - 1, flags, flags - 1, 0);

    List<String> lines = Files.readAllLines(MAIN.resolve("PageFlags.java"));
    int title = 0;
    while (!lines.get(title).contains("struct page word 0")) {
      title++;
    }
    String numbers = lines.get(title + 1).replace("*", "").trim();
    List<Integer> drawn = new ArrayList<>();
    for (String number : numbers.split(" +", -1)) {
      drawn.add(Integer.parseInt(number));
    }
    assertEquals(expected, drawn);
  }

  /**
   * Node and zone in word 0 of all captured kernels; powerpc has no ZONE_DMA, so its zones have other
   * numbers and fewer bits. Expect each kernel's shifts and numbers.
   */
  @ParameterizedTest
  @CsvSource({
    "x86-64, 10, 21, true",
    "arm64-4k, 4, 17, true",
    "arm64-16k, 4, 17, true",
    "powerpc-4k, 8, 19, false",
    "powerpc-64k, 8, 19, false",
  })
  void wordZero_capturedKernels_isTheirs(String kernel, int nodeBits, int cpupidBits, boolean dma)
      throws IOException {
    MmConfig config =
        new MmConfig.Builder()
            .nodesShift(nodeBits)
            .lastCpupidBits(cpupidBits)
            .zoneDma(dma)
            .zoneDma32(dma)
            .build();
    MmInline inline = TestMm.with(config).inline();
    JsonObject layout = TestMm.read("layout/" + kernel + ".json");
    JsonObject word = layout.getAsJsonObject("wordZero");
    JsonObject zones = layout.getAsJsonObject("enums").getAsJsonObject("zone_type");
    long cpupid = ((1L << cpupidBits) - 1) << word.get("lastCpupidShift").getAsInt();

    for (ZoneType zone : List.of(ZoneType.ZONE_NORMAL, ZoneType.ZONE_MOVABLE, ZoneType.ZONE_DEVICE)) {
      long number = zones.get(zone.name()).getAsLong();
      long expected =
          1L << word.get("nodeShift").getAsInt() | number << word.get("zoneShift").getAsInt() | cpupid;
      assertEquals(expected, inline.initialFlags(zone, 1));
      assertEquals(zone, inline.zonenum(expected));
      assertEquals(1, inline.nid(expected));
    }
  }

  /** Numbers of page flags, page types, zones and kinds of device memory. */
  @ParameterizedTest
  @CsvSource({
    "pageflags, PG_locked, 0",
    "pageflags, __NR_PAGEFLAGS, 25",
    "zone_type, ZONE_DMA, 0",
    "zone_type, __MAX_NR_ZONES, 5",
  })
  void enums_sentinels_areAsAssumed(String kind, String name, int number) throws IOException {
    assertEquals(number, enumOf(kind).get(name).getAsInt());
  }

  /** Every constant of page flags here. Expect the kernel's number. */
  @Test
  void pageFlags_everyConstant_hasTheKernelsNumber() throws IOException {
    Map<String, Integer> ours =
        Map.ofEntries(
            Map.entry("PG_locked", PageFlags.PG_LOCKED),
            Map.entry("PG_writeback", PageFlags.PG_WRITEBACK),
            Map.entry("PG_referenced", PageFlags.PG_REFERENCED),
            Map.entry("PG_uptodate", PageFlags.PG_UPTODATE),
            Map.entry("PG_dirty", PageFlags.PG_DIRTY),
            Map.entry("PG_lru", PageFlags.PG_LRU),
            Map.entry("PG_head", PageFlags.PG_HEAD),
            Map.entry("PG_waiters", PageFlags.PG_WAITERS),
            Map.entry("PG_active", PageFlags.PG_ACTIVE),
            Map.entry("PG_workingset", PageFlags.PG_WORKINGSET),
            Map.entry("PG_owner_priv_1", PageFlags.PG_OWNER_PRIV_1),
            Map.entry("PG_owner_2", PageFlags.PG_OWNER_2),
            Map.entry("PG_arch_1", PageFlags.PG_ARCH_1),
            Map.entry("PG_reserved", PageFlags.PG_RESERVED),
            Map.entry("PG_private", PageFlags.PG_PRIVATE),
            Map.entry("PG_private_2", PageFlags.PG_PRIVATE_2),
            Map.entry("PG_reclaim", PageFlags.PG_RECLAIM),
            Map.entry("PG_swapbacked", PageFlags.PG_SWAPBACKED),
            Map.entry("PG_unevictable", PageFlags.PG_UNEVICTABLE),
            Map.entry("PG_dropbehind", PageFlags.PG_DROPBEHIND),
            Map.entry("PG_mlocked", PageFlags.PG_MLOCKED),
            Map.entry("PG_hwpoison", PageFlags.PG_HWPOISON),
            Map.entry("PG_vmemmap_self_hosted", PageFlags.PG_VMEMMAP_SELF_HOSTED));
    JsonObject kernel = enumOf("pageflags");

    ours.forEach((name, number) -> assertEquals(number, kernel.get(name).getAsInt(), name));
  }

  /** Page types, zones and kinds of device memory. Expect the kernel's numbers. */
  @Test
  void otherEnums_everyConstant_hasTheKernelsNumber() throws IOException {
    JsonObject types = enumOf("pagetype");

    assertEquals(PageFlags.PGTY_BUDDY, types.get("PGTY_buddy").getAsInt());
    assertEquals(PageFlags.PGTY_OFFLINE, types.get("PGTY_offline").getAsInt());
    assertEquals(PageFlags.PGTY_TABLE, types.get("PGTY_table").getAsInt());
    assertEquals(PageFlags.PGTY_HUGETLB, types.get("PGTY_hugetlb").getAsInt());
    assertEquals(PageFlags.PGTY_SLAB, types.get("PGTY_slab").getAsInt());
    ZoneSet zones = MmConfig.debianX86().zones();
    for (ZoneType zone : zones.types()) {
      assertEquals(zones.number(zone), enumOf("zone_type").get(zone.name()).getAsInt());
    }
    for (DevPagemap.MemoryType type : DevPagemap.MemoryType.values()) {
      assertEquals(type.number(), enumOf("memory_type").get(type.name()).getAsInt());
    }
  }

  /** struct mem_section and its usage record. Expect the sizes that Mmzone computes. */
  @Test
  void memSection_sizes_areTheKernels() throws IOException {
    Mmzone mmzone = TestMm.debian().mmzone();
    int usage = struct("x86-64", "mem_section_usage").get("size").getAsInt();

    assertEquals(struct("x86-64", "mem_section").get("size").getAsInt(), mmzone.sizeofMemSection());
    assertEquals(usage + mmzone.sectionBlockflagsBits() / 8, mmzone.memSectionUsageSize());
  }

  private static JsonObject enumOf(String kind) throws IOException {
    return TestMm.read("layout/x86-64.json").getAsJsonObject("enums").getAsJsonObject(kind);
  }

  private static JsonObject struct(String kernel, String name) throws IOException {
    return TestMm.read("layout/" + kernel + ".json").getAsJsonObject("structs").getAsJsonObject(name);
  }

  private static int offset(JsonObject struct, String name) {
    return named(struct, struct, name).get("offset").getAsInt();
  }

  private static JsonObject named(JsonObject first, JsonObject second, String name) {
    for (JsonObject struct : List.of(first, second)) {
      for (JsonElement field : struct.getAsJsonArray("fields")) {
        String kernelName = field.getAsJsonObject().get("name").getAsString();
        if (kernelName.replaceAll("\\[.*", "").equals(name)) {
          return field.getAsJsonObject();
        }
      }
    }
    throw new AssertionError("the kernel has no field " + name);
  }
}
