// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kernel.Fidelity;

/**
 * docs/PORT-MAP.md is made from the tags and docs/series from the catalogue. Write them anew with
 * {@code -Dvmemmap.update=true}.
 */
class PortMapTest {
  private static final Path FILE = Path.of("../docs/PORT-MAP.md");
  private static final Path SERIES = Path.of("../docs/series");

  /** The file in the repository. Expect it to be what the tags say now. */
  @Test
  void portMap_file_isUpToDate() throws IOException {
    String map = portMap(KernelTag.all());
    update(FILE, map);
    assertEquals(map, Files.exists(FILE) ? Files.readString(FILE) : "");
  }

  /** The pages in the repository. Expect them to be what the catalogue says now, and no others. */
  @Test
  void seriesPages_files_areUpToDate() throws IOException {
    Map<String, String> pages = new TreeMap<>(new SeriesPages(Catalogue.entries()).all());
    for (Map.Entry<String, String> page : pages.entrySet()) {
      update(SERIES.resolve(page.getKey()), page.getValue());
    }
    Map<String, String> there = new TreeMap<>();
    try (Stream<Path> files = Files.list(SERIES)) {
      for (Path file : files.toList()) {
        there.put(file.getFileName().toString(), Files.readString(file));
      }
    }
    assertEquals(pages.keySet(), there.keySet());
    pages.forEach((name, text) -> assertEquals(text, there.get(name), name));
  }

  private static void update(Path file, String text) throws IOException {
    if (Boolean.getBoolean("vmemmap.update")) {
      Files.createDirectories(file.getParent());
      Files.writeString(file, text);
    }
  }

  private static String portMap(List<KernelTag> tags) {
    StringBuilder out = new StringBuilder();
    out.append(
        """
        <!-- SPDX-License-Identifier: GPL-2.0-only -->
        # Port map

        Which kernel function is which Java method. Made from the `@Kernel` tags by a test; after a \
        change run the tests of `lab` with `-Dvmemmap.update=true`.

        Fidelity: **ported** has the same logic; **custom** the same contract by another mechanism; \
        **stub** does nothing. The last two say why. Patches are those of the series that touched \
        the function.

        """);
    out.append("| | tags |\n|---|---|\n");
    for (Fidelity fidelity : Fidelity.values()) {
      long count = tags.stream().filter(t -> t.tag().fidelity() == fidelity).count();
      out.append("| ").append(word(fidelity)).append(" | ").append(count).append(" |\n");
    }
    String file = "";
    for (KernelTag tag : tags) {
      if (!tag.tag().file().equals(file)) {
        file = tag.tag().file();
        out.append("\n## ").append(file).append("\n\n");
        out.append("| kernel | Java | fidelity | patches |\n|---|---|---|---|\n");
      }
      out.append(row(tag));
    }
    return out.toString();
  }

  private static String row(KernelTag tag) {
    Kernel kernel = tag.tag();
    String why = kernel.why().isEmpty() ? "" : ": " + kernel.why().replace("|", "\\|");
    String patches =
        IntStream.of(kernel.patches()).mapToObj(String::valueOf).collect(Collectors.joining(", "));
    return "| `" + kernel.symbol() + "` | `" + tag.place() + "` | " + word(kernel.fidelity()) + why
        + " | " + patches + " |\n";
  }

  private static String word(Fidelity fidelity) {
    return fidelity.name().toLowerCase(Locale.ROOT);
  }
}
