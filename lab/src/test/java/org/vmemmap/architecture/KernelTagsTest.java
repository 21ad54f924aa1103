// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Kernel.Fidelity;

/** The tags that tie Java methods to kernel functions. */
class KernelTagsTest {
  private static final List<KernelTag> TAGS = KernelTag.all();

  /**
   * Each (file, symbol) pair against the names that the reference kernel defines in that file, as
   * listed by tools/kernel-symbols.sh, and those that only an older kernel or a patch of the series
   * has. Expect none that does not exist.
   */
  @Test
  void pairs_referenceKernel_allResolve() throws IOException {
    Map<String, Set<String>> symbols = symbols();

    assertEquals(
        List.of(),
        TAGS.stream()
            .filter(t -> !symbols.getOrDefault(t.tag().file(), Set.of()).contains(t.tag().symbol()))
            .map(t -> t.place() + ": " + t.tag().file() + " " + t.tag().symbol())
            .toList());
  }

  /** Names that must be found, and one that must not, so that the list itself is tested. */
  @Test
  void symbols_knownNames_areListed() throws IOException {
    Map<String, Set<String>> symbols = symbols();

    assertTrue(symbols.getOrDefault("mm/hugetlb_vmemmap.c", Set.of()).contains("vmemmap_get_tail"));
    assertTrue(symbols.getOrDefault("mm/sparse-vmemmap.c", Set.of()).contains("vmemmap_get_tail"));
    assertTrue(
        symbols.getOrDefault("include/linux/page-flags.h", Set.of()).contains("PageReserved"));
    assertEquals(
        false, symbols.getOrDefault("mm/sparse.c", Set.of()).contains("vmemmap_get_tail"));
  }

  /** What is no plain port says why; a plain port has nothing to explain. */
  @Test
  void why_customAndStub_isGiven() {
    assertEquals(
        List.of(),
        TAGS.stream()
            .filter(t -> (t.tag().fidelity() == Fidelity.PORTED) != t.tag().why().isEmpty())
            .map(t -> t.place() + ": " + t.tag().fidelity() + " why=" + t.tag().why())
            .toList());
  }

  /** Patch numbers are those of the series, ascending, once each. */
  @Test
  void patches_numbers_areOfTheSeries() {
    assertEquals(
        List.of(),
        TAGS.stream()
            .filter(t -> !ascendingWithin(t.tag().patches()))
            .map(t -> t.place() + ": " + IntStream.of(t.tag().patches()).boxed().toList())
            .toList());
  }

  private static boolean ascendingWithin(int[] patches) {
    int[] sorted = IntStream.of(patches).distinct().sorted().toArray();
    return java.util.Arrays.equals(sorted, patches)
        && IntStream.of(patches).allMatch(n -> 1 <= n && n <= 49);
  }

  /** Tags of all kinds exist. Expect the rules above to have had something to look at. */
  @Test
  void tags_product_areThere() {
    assertTrue(TAGS.size() > 500, "tags=" + TAGS.size());
    assertTrue(TAGS.stream().anyMatch(t -> t.tag().fidelity() == Fidelity.CUSTOM));
    assertTrue(TAGS.stream().anyMatch(t -> t.tag().patches().length > 0));
    assertTrue(TAGS.stream().anyMatch(t -> t.member().isEmpty()));
  }

  private static Map<String, Set<String>> symbols() throws IOException {
    Map<String, Set<String>> symbols = new HashMap<>();
    read("/kernel-symbols.txt", symbols);
    read("/series-symbols.txt", symbols);
    return symbols;
  }

  private static void read(String list, Map<String, Set<String>> symbols) throws IOException {
    try (InputStream in = KernelTagsTest.class.getResourceAsStream(list);
        BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(Objects.requireNonNull(in), StandardCharsets.UTF_8))) {
      Set<String> names = new HashSet<>();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("== ")) {
          names = symbols.computeIfAbsent(line.substring(3), file -> new HashSet<>());
        } else {
          names.add(line);
        }
      }
    }
  }
}
