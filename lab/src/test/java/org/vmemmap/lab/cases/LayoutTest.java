// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.cases.ReplayResult.CaseResult;
import org.vmemmap.types.Series;

/** The model's layouts against those of real kernels, read from their type information. */
class LayoutTest {
  private static Layout layout(String name) {
    return Layout.read(GivenCases.root().resolve("layout").resolve(name + ".json"));
  }

  /**
   * All sizes, offsets, types and numbers of a captured kernel. Expect that the model's kernel of
   * the same build has the same, and that it knows each of them.
   */
  @ParameterizedTest
  @CsvSource({
    "x86-64, 435", "arm64-4k, 766", "arm64-16k, 766", "powerpc-4k, 762", "powerpc-64k, 762"
  })
  void compare_capturedKernel_everyFactIsTheModels(String name, long facts) {
    CaseResult result = compare(layout(name));

    assertEquals(List.of(), result.mismatches());
    assertEquals(facts, result.facts());
  }

  private static CaseResult compare(Layout kernel) {
    return LayoutComparer.compare(kernel, ModelLayout.of(kernel, Series.profile("7.3")));
  }

  /** One number of each part of a layout file is made wrong. Expect that each is found. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"name\": \"compound_info\", \"offset\": 8|structs.page.compound_info.offset",
        "{\"name\": \"max_huge_pages\", \"offset\": 48, \"size\": 8|structs.hstate.max_huge_pages.size",
        "\"PG_hwpoison\": 21|enums.pageflags.PG_hwpoison",
        "\"PG_arch_2\": 24|enums.pageflags.PG_arch_2",
        "\"ZONE_MOVABLE\": 3|enums.zone_type.ZONE_MOVABLE",
        "\"zoneShift\": 51|wordZero.zoneShift",
        "\"entries\": 16|tails.entries"
      })
  void compare_oneNumberChanged_isTheOnlyMismatch(String there, String path) {
    String text = CaseFiles.text(GivenCases.root().resolve("layout").resolve("x86-64.json"));
    int end = text.indexOf(there) + there.length();
    assertTrue(end >= there.length(), there);
    String changed = text.substring(0, end) + "1" + text.substring(end);

    CaseResult result = compare(Layout.parse("f", changed));

    assertEquals(List.of(path), result.mismatches().stream().map(Mismatch::path).toList());
  }

  /** A kernel has a structure and a field that the model does not know. Expect mismatches. */
  @Test
  void compare_unknownNames_areMismatches() {
    Layout.Field field = new Layout.Field(0, 8, "int");
    Layout kernel =
        new Layout(
            "layout/x86-64",
            Map.of("folio_batch", new Layout.Struct(8, Map.of("nr", field))),
            Map.of("lru_list", Map.of("LRU_BASE", 0L)),
            layout("x86-64").wordZero(),
            null);

    CaseResult result = compare(kernel);

    assertEquals(
        List.of(
            "structs.folio_batch.size",
            "structs.folio_batch.nr.offset",
            "structs.folio_batch.nr.size",
            "structs.folio_batch.nr.type",
            "enums.lru_list.LRU_BASE",
            "tails"),
        result.mismatches().stream().map(Mismatch::path).toList());
  }

  /** A layout file of a kernel that the model cannot build. Expect one line. */
  @Test
  void of_unknownBuild_isRefused() {
    Layout other = new Layout("layout/riscv", Map.of(), Map.of(), layout("x86-64").wordZero(), null);

    BadInput thrown =
        assertThrows(BadInput.class, () -> ModelLayout.of(other, Series.profile("7.3")));

    assertEquals(
        "layout file with the name \"layout/riscv\": wanted layout/ and x86-64, arm64-4k, arm64-16k,"
            + " powerpc-4k or powerpc-64k",
        thrown.getMessage());
  }

  /**
   * A structure with a gap, a union and an array, as drawn beside StructLayout. Expect C's offsets.
   */
  @Test
  void structLayout_gapUnionArray_areLaidOutAsInC() {
    StructLayout.CType number = StructLayout.CType.opaque("int", 4, 4);
    StructLayout.CType wide = StructLayout.CType.opaque("long", 8, 8);
    StructLayout.CType letter = StructLayout.CType.opaque("char", 1, 1);

    StructLayout.CType type =
        StructLayout.of(
            "struct s",
            s ->
                s.field("a", number)
                    .union(u -> u.field("b", wide).field("c", number))
                    .array("d", letter, 3));

    assertEquals(24, type.size());
    assertEquals(
        Map.of(
            "a", new Layout.Field(0, 4, "int"),
            "b", new Layout.Field(8, 8, "long"),
            "c", new Layout.Field(8, 4, "int"),
            "d", new Layout.Field(16, 3, "char[3]")),
        type.members());
  }

  /** Both kinds of file in one run. Expect both compared. */
  @Test
  void run_layoutAndCase_comparesBoth() {
    Path root = GivenCases.root();
    StringWriter text = new StringWriter();

    int exit =
        Replay.run(
            List.of(root.resolve("layout/powerpc-64k.json"), root.resolve("x86-64/base-4g.json")),
            false,
            new PrintWriter(text));

    assertEquals(0, exit, text.toString());
    List<String> lines = text.toString().lines().toList();
    assertEquals("ok   layout/powerpc-64k: 762 facts, 0 mismatches", lines.getFirst());
    assertTrue(lines.getLast().startsWith("2 cases, "), lines.getLast());
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
