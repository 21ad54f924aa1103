// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The comparison of an expectation with a tree that was read from a model. */
class ComparerTest {
  private static final long WORD_MASK = 0xfff800003fffffffL;

  private static List<String> differences(String expected, Map<String, Object> actual) {
    List<String> lines = new ArrayList<>();
    for (Mismatch m : compare(expected, actual).mismatches()) {
      lines.add(m.path() + ": " + m.expected() + " | " + m.actual());
    }
    return lines;
  }

  private static Comparer compare(String expected, Map<String, Object> actual) {
    Comparer comparer = new Comparer(3, "label", WORD_MASK);
    comparer.compare("", JsonParser.parse("f", expected), actual, Shape.EXPECT);
    return comparer;
  }

  private static Map<String, Object> words(Object... words) {
    return Map.of(
        "ranges", List.of(Map.of("structPages", List.of(Map.of("words", List.of(words))))));
  }

  private static String expectWords(String words) {
    return """
    {"ranges": [{"startPfn": 0, "pages": 64, "structPages": [{"at": "0", "words": [%s]}]}]}
    """
        .formatted(words);
  }

  /** Equal trees: every single value is one fact, and none differs. */
  @Test
  void compare_equalTrees_countsEachValue() {
    String expected =
        """
        {"vmstat": {"nr_memmap_pages": 7, "nr_memmap_boot_pages": 8},
         "badPageReports": false, "hugepageSizes": [1, 2]}
        """;
    Map<String, Object> actual =
        Map.of(
            "vmstat", Map.of("nr_memmap_pages", 7L, "nr_memmap_boot_pages", 8L),
            "badPageReports", false,
            "hugepageSizes", List.of(1L, 2L));

    Comparer comparer = compare(expected, actual);

    assertEquals(List.of(), comparer.mismatches());
    assertEquals(5, comparer.facts());
  }

  /** A value that differs is named by its path, with both sides, in its step. */
  @Test
  void compare_oneWrongNumber_isOneMismatchWithPath() {
    List<Mismatch> found =
        compare(
                "{\"vmstat\": {\"nr_memmap_pages\": 7}}",
                Map.of("vmstat", Map.of("nr_memmap_pages", 9L)))
            .mismatches();

    assertEquals(List.of(new Mismatch(3, "label", "vmstat.nr_memmap_pages", "7", "9")), found);
  }

  /** A key that the format does not know is a mismatch, on every level. */
  @Test
  void compare_unknownKey_isAMismatch() {
    List<String> found =
        differences("{\"vmstat\": {\"nr_new\": 7}, \"mood\": [1, 2]}", Map.of("vmstat", Map.of()));

    assertEquals(
        List.of(
            "vmstat.nr_new: 7 | (a key that this version does not know)",
            "mood: [1, 2] | (a key that this version does not know)"),
        found);
  }

  /** A key that the model has no answer for is a mismatch. */
  @Test
  void compare_modelHasNoSuchKey_isAMismatch() {
    assertEquals(
        List.of("selfHosted: true | (nothing)"), differences("{\"selfHosted\": true}", Map.of()));
  }

  /**
   * A key of the format that only the model has, in an object that the case shows, is a mismatch.
   */
  @Test
  void compare_modelShowsMore_isAMismatch() {
    String expected = "{\"vmemmap\": {\"shared\": [{\"maps\": 7, \"frames\": 1}]}}";
    Map<String, Object> actual =
        Map.of(
            "vmemmap",
            Map.of("shared", List.of(Map.of("maps", 7L, "frames", 1L, "tail", "0/Normal/9"))));

    assertEquals(
        List.of("vmemmap.shared[0].tail: (nothing) | 0/Normal/9"), differences(expected, actual));
  }

  /** Zones are a set: order does not matter, and one wrong value is one mismatch at its place. */
  @Test
  void compare_setInAnotherOrder_pairsByKeys() {
    String expected =
        """
        {"zones": [
          {"node": 0, "name": "DMA", "startPfn": 1, "spannedPages": 10, "presentPages": 9},
          {"node": 0, "name": "Normal", "startPfn": 100, "spannedPages": 20, "presentPages": 20}]}
        """;
    Map<String, Object> dma =
        Map.of("node", 0, "name", "DMA", "startPfn", 1L, "spannedPages", 10L, "presentPages", 9L);
    Map<String, Object> normal =
        Map.of(
            "node",
            0,
            "name",
            "Normal",
            "startPfn",
            100L,
            "spannedPages",
            21L,
            "presentPages",
            20L);

    assertEquals(
        List.of("zones[1].spannedPages: 20 | 21"),
        differences(expected, Map.of("zones", List.of(normal, dma))));
  }

  /** A wrong key is one mismatch too: what is left over is paired. */
  @Test
  void compare_setWithAWrongKey_pairsWhatIsLeft() {
    String expected =
        """
        {"vmemmap": {"leaves": [
          {"level": "pmd", "flags": "0x1e3", "count": 5}, {"level": "pte", "flags": "0x163", "count": 8}]}}
        """;
    Map<String, Object> pmd = Map.of("level", "pmd", "flags", "0x1e3", "count", 5L);
    Map<String, Object> pte = Map.of("level", "pte", "flags", "0x121", "count", 8L);

    assertEquals(
        List.of("vmemmap.leaves[1].flags: 0x163 | 0x121"),
        differences(expected, Map.of("vmemmap", Map.of("leaves", List.of(pmd, pte)))));
  }

  /** Items that one side lacks are one mismatch each. */
  @Test
  void compare_setsOfDifferentSize_reportsWhatIsMissing() {
    String expected = "{\"sections\": [{\"first\": 0, \"n\": 2}, {\"first\": 5, \"n\": 1}]}";
    Map<String, Object> one = Map.of("first", 0L, "n", 2L);
    Map<String, Object> other = Map.of("first", 9L, "n", 1L);

    assertEquals(
        List.of("sections[1]: {\"first\": 5, \"n\": 1} | (nothing)"),
        differences(expected, Map.of("sections", List.of(one))));
    assertEquals(
        List.of("sections[]: (nothing) | {first=9, n=1}"),
        differences(
            "{\"sections\": [{\"first\": 0, \"n\": 2}]}", Map.of("sections", List.of(one, other))));
  }

  /** A span start that the capture could not read is no fact. */
  @Test
  void compare_startPfnNotRead_isSkipped() {
    String expected = "{\"zones\": [{\"node\": 0, \"name\": \"Device\", \"startPfn\": null}]}";
    Comparer comparer =
        compare(
            expected,
            Map.of("zones", List.of(Map.of("node", 0, "name", "Device", "startPfn", 77L))));

    assertEquals(List.of(), comparer.mismatches());
    assertEquals(2, comparer.facts());
  }

  /** Pfns are a set of numbers: the same numbers in other runs are equal. */
  @Test
  void compare_pfnsInOtherRuns_areEqual() {
    String expected = "{\"pool\": [{\"pfns\": [[512, 2, 512], [1536, 1, 0]]}]}";

    assertEquals(
        List.of(),
        differences(
            expected, Map.of("pool", List.of(Map.of("pfns", new long[] {1536, 512, 1024})))));
    assertEquals(
        List.of("pool[0].pfns: [512,3,512] | [512,2,512]"),
        differences(expected, Map.of("pool", List.of(Map.of("pfns", new long[] {512, 1024})))));
  }

  /** Word forms are compared as texts; a dash is no fact; hex may be written in two ways. */
  @Test
  void compare_wordForms_areEqualTexts() {
    Map<String, Object> actual = words("0x40", "self+0x8", "page[7]+0x8", "pgmap", "0x5", "0xff");

    Comparer comparer =
        compare(
            expectWords("\"0x0040\", \"self+0x8\", \"page[7]+0x8\", \"pgmap\", \"-\", \"0xff\""),
            actual);

    assertEquals(List.of(), comparer.mismatches());
    assertEquals(5, comparer.facts());
    assertEquals(
        List.of("ranges[0].structPages[0].words[1]: self+0x10 | self+0x8"),
        differences(expectWords("\"0x40\", \"self+0x10\", \"-\", \"-\", \"-\", \"-\""), actual));
  }

  /** Word 0 is compared under the case's mask: last_cpupid (bits 30 to 50) is not in it. */
  @Test
  void compare_word0_isComparedUnderTheMask() {
    String lastCpupidSet = "\"0x17ffffc0000040\"";
    String otherZone = "\"0x1fffffc0000040\"";

    assertEquals(List.of(), differences(expectWords(lastCpupidSet), words("0x10000000000040")));
    assertEquals(
        List.of(
            "ranges[0].structPages[0].words[0]: 0x18000000000040 under mask 0xfff800003fffffff"
                + " | 0x10000000000040"),
        differences(expectWords(otherZone), words("0x10000000000040")));
  }

  /** An entry's own mask0 replaces the case's. */
  @Test
  void compare_entryWithMask0_usesIt() {
    String expected =
        """
        {"ranges": [{"startPfn": 0, "pages": 64, "structPages": [
          {"at": "0", "mask0": "0xfff8000000000000", "words": ["0x10000000000848"]}]}]}
        """;

    assertEquals(List.of(), differences(expected, words("0x10000000000000")));
  }

  /** A struct page with more or fewer words than expected differs. */
  @Test
  void compare_otherNumberOfWords_differs() {
    assertEquals(
        List.of("ranges[0].structPages[0].words[1]: 0x1 | (nothing)"),
        differences(expectWords("\"0x0\", \"0x1\""), words("0x0")));
    assertEquals(
        List.of("ranges[0].structPages[0].words[1]: (nothing) | 0x2"),
        differences(expectWords("\"0x0\""), words("0x0", "0x2")));
  }

  /** Node numbers are names: missing and surplus nodes differ. */
  @Test
  void compare_perNode_comparesAllNodes() {
    String expected = "{\"hugepages\": [{\"size\": 1, \"perNode\": {\"0\": 5, \"1\": 6}}]}";
    Map<String, Object> actual =
        Map.of("hugepages", List.of(Map.of("size", 1L, "perNode", Map.of("0", 5L, "2", 6L))));

    assertEquals(
        List.of("hugepages[0].perNode.1: 6 | (nothing)", "hugepages[0].perNode.2: (nothing) | 6"),
        differences(expected, actual));
  }

  /** Where to look is no fact: start, pages and indexes are not compared. */
  @Test
  void compare_selectors_areNoFacts() {
    String expected =
        "{\"ranges\": [{\"startPfn\": 5, \"pages\": 6, \"kpagecount\": [{\"at\": \"0-5\","
            + " \"count\": 0}]}]}";
    Comparer comparer =
        compare(
            expected,
            Map.of("ranges", List.of(Map.of("kpagecount", List.of(Map.of("count", 0L))))));

    assertEquals(List.of(), comparer.mismatches());
    assertEquals(1, comparer.facts());
  }
}
