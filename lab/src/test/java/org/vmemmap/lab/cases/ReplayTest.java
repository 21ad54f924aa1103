// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.vmemmap.lab.cases.ReplayResult.CaseResult;
import org.vmemmap.types.Mm;

/** Captured boots of the real kernel, done again on the model. */
class ReplayTest {
  static Stream<Path> given() {
    return Stream.of(
            "x86-64", "x86-64-more", "x86-64-7.2.13", "arm64", "arm64-more", "powerpc", "powerpc-more")
        .flatMap(arch -> GivenCases.files(arch).stream());
  }

  /** The first case of each machine that is booted in some way. */
  static Stream<Path> machines() {
    Set<List<Record>> seen = new HashSet<>();
    return given()
        .filter(
            path -> {
              VmemmapCase one = CaseFiles.read(path);
              return seen.add(List.of(one.machine(), boot(one)));
            });
  }

  private static VmemmapCase.Boot boot(VmemmapCase one) {
    return (VmemmapCase.Boot) one.steps().getFirst().operations().getFirst().args();
  }

  /** Every fact of every step of a given case. Expect no mismatch, and that facts were compared. */
  @ParameterizedTest
  @MethodSource("given")
  void replay_givenCase_matchesTheKernel(Path path) {
    CaseResult result = Replay.replay(CaseFiles.read(path));

    assertEquals(List.of(), result.mismatches());
    assertTrue(result.facts() >= 15, "facts=" + result.facts());
  }

  /**
   * The zones of the machine, which the case gives as an input that the replay does not use. Expect
   * that the model finds the same after boot.
   */
  @ParameterizedTest
  @MethodSource("machines")
  void boot_givenMachine_hasTheKernelsZones(Path path) {
    VmemmapCase one = CaseFiles.read(path);
    CasePlacement placement = new CasePlacement(one);
    placement.enter(0);

    Mm mm = CaseMachineRun.boot(one.machine(), boot(one), placement).view().mm();

    List<VmemmapCase.CaseZone> found =
        mm.nodes().online().stream()
            .flatMap(node -> Stream.of(node.zones()))
            .filter(zone -> !zone.isEmpty())
            .map(
                zone ->
                    new VmemmapCase.CaseZone(
                        zone.nid(),
                        zone.name(),
                        zone.zoneStartPfn,
                        zone.spannedPages,
                        zone.presentPages))
            .toList();
    List<VmemmapCase.CaseZone> atBoot =
        one.machine().zones().stream().filter(zone -> zone.presentPages() > 0).toList();
    assertEquals(atBoot, found);
  }

  /**
   * Two neighbours of 2 MiB with 16K pages: their struct pages lie in one page, which goes with the
   * first device. Expect that removing the second one crashes at its first struct page, and that
   * this is the result the case asks for.
   *
   * <pre>
   *   memmap page   | device A | device B |      memunmap(A):  not mapped
   * </pre>
   */
  @Test
  void replay_neighboursOn16k_secondRemovalTouchesItsFirstStructPage() {
    Path path = GivenCases.root().resolve("arm64").resolve("16k-remap-2M-at-2M.json");
    String text = CaseFiles.text(path);
    int steps = text.indexOf("\"steps\"");
    String pair =
        text.substring(0, steps)
            + """
            "steps": [
              {"label": "AB", "do": [{"op": "boot"},
                {"op": "memremap", "device": "A", "start": "0x80000000", "size": 2097152,
                 "vmemmapShift": 0, "altmap": null, "node": 0, "rc": 0},
                {"op": "memremap", "device": "B", "start": "0x80200000", "size": 2097152,
                 "vmemmapShift": 0, "altmap": null, "node": 0, "rc": 0}],
               "expect": {"vmstat": {"nr_memmap_pages": 2, "nr_memmap_boot_pages": 256}}},
              {"label": "B", "do": [{"op": "memunmap", "device": "A"}],
               "expect": {"vmstat": {"nr_memmap_pages": 1, "nr_memmap_boot_pages": 256}}},
              {"label": "crash", "do": [{"op": "memunmap", "device": "B",
                "oops": {"touches": "page[131200]", "in": "memunmap_pages", "what": "fault"}}],
               "expect": {"vmstat": {"nr_memmap_pages": 1, "nr_memmap_boot_pages": 256}}}]}
            """;

    CaseResult result = Replay.replay(CaseFiles.parse("f", pair));

    assertEquals(List.of(), result.mismatches());
  }

  /**
   * powerpc radix: a compound device comes second into a 2 MiB leaf of memmap that a plain device
   * made. The leaf stays, the counter still says two pages for each compound page, and nobody
   * writes the tails behind those two. Expect the counters, and no rule broken by those tails.
   *
   * <pre>
   *   memmap leaf   | A: 64 pages, plain | B: 8 compound pages, 2 of 8 memmap pages written | ...
   * </pre>
   */
  @Test
  void replay_compoundBehindPlainOnRadix_inheritsTheLeaf() {
    Path cases = GivenCases.root().resolve("powerpc");
    String text = CaseFiles.text(cases.resolve("4k-pair-radix-16Mshift9-16Mshift0.json"));
    String pair =
        text.substring(0, text.indexOf("\"steps\""))
            + """
            "steps": [
              {"label": "A", "do": [{"op": "boot"},
                {"op": "memremap", "device": "A", "start": "0x40000000", "size": 16777216,
                 "vmemmapShift": 0, "altmap": null, "node": 0, "rc": 0}],
               "expect": {"vmstat": {"nr_memmap_pages": 64, "nr_memmap_boot_pages": 4096}}},
              {"label": "AB", "do": [
                {"op": "memremap", "device": "B", "start": "0x41000000", "size": 16777216,
                 "vmemmapShift": 9, "altmap": null, "node": 0, "rc": 0}],
               "expect": {"vmstat": {"nr_memmap_pages": 80, "nr_memmap_boot_pages": 4096}}}]}
            """;

    CaseResult result = Replay.replay(CaseFiles.parse("f", pair));

    assertEquals(List.of(), result.mismatches());
  }

  /** One number of a case file is changed. Expect exactly that mismatch, from a whole replay. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          base-2g              | "distinctPages": 8192                 | "distinctPages": 8193                 | vmemmap.distinctPages           | 8193 | 8192
          hp2m-boot64-4g-on    | "readOnlyPages": 448                  | "readOnlyPages": 447                  | vmemmap.readOnlyPages           | 447 | 448
          hp2m-boot64-4g-on    | "rc": 0, "readback": "0"              | "rc": -12, "readback": "0"            | do[0].rc                        | -12 | 0
          hp2m-boot64-4g-on    | "rc": 0, "readback": "0"              | "rc": 0, "readback": "1"              | do[0].readback                  | 1 | 0
          dax-hmem-early-busy  | "rc": -16                             | "rc": -22                             | do[0].rc                        | -22 | -16
          kpf-2m-2g-on         | "0x400029808"                         | "0x400029848"                         | ranges[1].kpageflags[0].flags   | 0x400029848 | 0x400029808
          """)
  void replay_oneNumberChanged_isExactlyOneMismatch(
      String name, String from, String to, String path, String expected, String actual) {
    Path file = GivenCases.root().resolve("x86-64").resolve(name + ".json");
    String text = CaseFiles.text(file);
    int at = text.indexOf(from);
    String changed = text.substring(0, at) + to + text.substring(at + from.length());

    List<Mismatch> found = Replay.replay(CaseFiles.parse("f", changed)).mismatches();

    assertEquals(1, found.size(), found::toString);
    assertEquals(path, found.get(0).path());
    assertEquals(expected, found.get(0).expected());
    assertEquals(actual, found.get(0).actual());
  }

  /**
   * A key that nobody knows, in an operation, in a step, in the machine. Expect three mismatches.
   */
  @Test
  void replay_unknownKeys_areMismatches() {
    Path file = GivenCases.root().resolve("x86-64").resolve("base-1g.json");
    String text =
        CaseFiles.text(file)
            .replace("\"op\": \"boot\",", "\"op\": \"boot\", \"quiet\": true,")
            .replace("\"label\": \"boot\",", "\"label\": \"boot\", \"mood\": \"good\",")
            .replace("\"arch\": \"x86-64\",", "\"arch\": \"x86-64\", \"fan\": 3,");

    List<Mismatch> found = Replay.replay(CaseFiles.parse("f", text)).mismatches();

    assertEquals(
        List.of("machine.fan", "mood", "do[0].quiet"), found.stream().map(Mismatch::path).toList());
  }

  /** The text of a replay. Expect a line for the case and the totals last, and exit code 0. */
  @Test
  void run_matchingCase_printsTotalsLast() {
    StringWriter text = new StringWriter();
    Path path = GivenCases.root().resolve("x86-64").resolve("base-1g.json");

    int exit = Replay.run(List.of(path), false, new PrintWriter(text));

    List<String> lines = text.toString().lines().toList();
    assertEquals(0, exit);
    assertEquals(2, lines.size());
    assertTrue(lines.get(0).matches("ok   x86-64/base-1g: \\d+ facts, 0 mismatches"), lines.get(0));
    assertTrue(lines.get(1).matches("1 cases, \\d+ facts, 0 mismatches"), lines.get(1));
  }

  /** The JSON of a replay that found something. Expect the agreed names, and exit code 1. */
  @Test
  void run_jsonOfAMismatch_hasTheAgreedShape(@TempDir Path dir) throws IOException {
    StringWriter text = new StringWriter();
    Path given = GivenCases.root().resolve("arm64").resolve("4k-kmem.json");
    Path path = dir.resolve("4k-kmem.json");
    String rc = "\"online\": \"no\", \"rc\": 0";
    assertTrue(CaseFiles.text(given).contains(rc));
    Files.writeString(path, CaseFiles.text(given).replace(rc, rc.replace("0", "-16")));

    int exit = Replay.run(List.of(path), true, new PrintWriter(text));

    JsonObject all = JsonParser.parseString(text.toString()).getAsJsonObject();
    JsonObject one = all.getAsJsonArray("cases").get(0).getAsJsonObject();
    JsonObject mismatch = one.getAsJsonArray("mismatches").get(0).getAsJsonObject();
    assertEquals(1, exit);
    assertEquals(Set.of("cases", "facts", "mismatches"), all.keySet());
    assertEquals(Set.of("name", "facts", "mismatches"), one.keySet());
    assertEquals(Set.of("step", "label", "path", "expected", "actual"), mismatch.keySet());
    assertEquals(1, all.get("mismatches").getAsInt());
    assertEquals("do[0].rc", mismatch.get("path").getAsString());
    assertEquals("-16", mismatch.get("expected").getAsString());
  }
}
