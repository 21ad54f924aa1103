// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.lab.series.Observable;
import org.vmemmap.lab.series.Observables;
import org.vmemmap.types.LaterFix;
import org.vmemmap.types.Series;

/** The pages of docs/series, made from the catalogue. */
final class SeriesPages {
  private static final String LICENCE = "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n";

  private static final String UNDERNEATH = "underneath.md";

  private final List<Catalogue.Entry> entries;

  SeriesPages(List<Catalogue.Entry> entries) {
    this.entries = entries;
  }

  /** The text of each page by the name of its file. */
  Map<String, String> all() {
    Map<String, String> pages = new LinkedHashMap<>();
    pages.put("README.md", index());
    entries.forEach(entry -> pages.put(file(entry.number()), page(entry)));
    pages.put(UNDERNEATH, underneath());
    return pages;
  }

  private static String file(int number) {
    return "%02d.md".formatted(number);
  }

  private static String link(int number) {
    return "[%d](%s)".formatted(number, file(number));
  }

  private static String links(List<Integer> numbers) {
    return numbers.stream().map(SeriesPages::link).collect(Collectors.joining(", "));
  }

  // ---- the index ----

  private String index() {
    StringBuilder out = new StringBuilder(LICENCE);
    out.append(
        """
        # The series, patch by patch

        "[PATCH 00/49] mm: Generalize vmemmap optimization for DAX and HugeTLB". Made from the \
        catalogue by a test; after a change run the tests of `lab` with `-Dvmemmap.update=true`. \
        The numbers before and after are not stored: `./vmemmap series` measures them, and \
        `./vmemmap series table` does so at every level. The series that this one stands on has \
        [its own page](underneath.md).

        | | kind | seen | subject |
        |---|---|---|---|
        """);
    for (Catalogue.Entry entry : entries) {
      out.append("| ").append(link(entry.number())).append(" | ").append(entry.kind());
      out.append(entry.behavioural() ? " | yes | " : " | | ").append(entry.subject());
      out.append(" |\n");
    }
    observables(out);
    files(out);
    fixes(out);
    broken(out);
    return out.toString();
  }

  private void observables(StringBuilder out) {
    out.append("\n## By observable\n\n");
    out.append("| observable | unit | scenario | patches |\n|---|---|---|---|\n");
    for (Observable one : Observables.all()) {
      out.append("| `").append(one.name()).append("` | ").append(one.unit()).append(" | ");
      out.append(one.scenario()).append(" | ");
      out.append(links(numbers(entry -> entry.measured().contains(one.name())))).append(" |\n");
    }
  }

  private void files(StringBuilder out) {
    Map<String, List<Integer>> patches = new TreeMap<>();
    for (Catalogue.Entry entry : entries) {
      for (String file : entry.files()) {
        patches.computeIfAbsent(
            file.replaceFirst(":.*", ""),
            name -> numbers(e -> e.files().stream().anyMatch(f -> isOf(f, name))));
      }
    }
    out.append("\n## By kernel file\n\n| file | patches |\n|---|---|\n");
    patches.forEach(
        (file, numbers) ->
            out.append("| `").append(file).append("` | ").append(links(numbers)).append(" |\n"));
  }

  private static boolean isOf(String file, String name) {
    return file.equals(name) || file.startsWith(name + ":");
  }

  private List<Integer> numbers(Predicate<Catalogue.Entry> wanted) {
    return entries.stream().filter(wanted).map(Catalogue.Entry::number).toList();
  }

  private static void fixes(StringBuilder out) {
    out.append("\n## Later fixes\n\nChanges of released kernels that no patch of the series brings:");
    out.append(" off at all levels.\n\n| fix | asked by | in |\n|---|---|---|\n");
    for (String fix : Series.LATER_FIXES) {
      String in =
          Series.RELEASED.stream()
              .filter(name -> Series.profile(name).hasFix(fix))
              .collect(Collectors.joining(", "));
      String question = question(fix);
      out.append("| ").append(fix).append(" | `").append(question).append("` | ");
      out.append(in).append(" |\n");
    }
  }

  private void broken(StringBuilder out) {
    out.append("\n## Rules that do not hold for a while\n\n");
    out.append("| rule | levels | machines | patch | why |\n|---|---|---|---|---|\n");
    for (Catalogue.Entry entry : entries) {
      for (Catalogue.Break one : entry.breaks()) {
        out.append("| ").append(one.rule()).append(" | ").append(levels(one)).append(" | ");
        out.append(String.join(", ", one.machines())).append(" | ");
        out.append(link(entry.number())).append(" | ").append(one.why()).append(" |\n");
      }
    }
  }

  private static String levels(Catalogue.Break one) {
    return one.from() + " to " + one.to();
  }

  // ---- a page ----

  private String page(Catalogue.Entry entry) {
    int n = entry.number();
    StringBuilder out = new StringBuilder(LICENCE);
    out.append("# %d. %s\n\n".formatted(n, entry.subject()));
    out.append(n > 1 ? "[before](" + file(n - 1) + ") " : "").append("[all](README.md)");
    out.append(n < Series.LAST ? " [next](" + file(n + 1) + ")" : "").append("\n\n");
    out.append(entry.purpose()).append("\n\n");
    out.append("- Kind: ").append(entry.kind()).append('\n');
    if (entry.behavioural()) {
      out.append("- Asked by: `Series.").append(entry.predicate()).append("()`\n");
    }
    out.append("- To be seen: ").append(entry.observable()).append('\n');
    for (String name : entry.measured()) {
      Observable one = Observables.named(name);
      out.append("- Measured: `").append(name).append("`, ").append(one.unit()).append(", ");
      out.append(one.scenario()).append('\n');
    }
    for (Catalogue.Break one : entry.breaks()) {
      out.append("- Breaks: ").append(one.rule()).append(" at levels ").append(levels(one));
      out.append(" on ").append(String.join(", ", one.machines())).append(": ");
      out.append(one.why()).append('\n');
    }
    out.append("- Confidence: ").append(entry.confidence()).append('\n');
    list(out, "Kernel", entry.files());
    list(out, "Java", entry.java().stream().map(place -> "`" + place + "`").toList());
    list(out, "Evidence", entry.evidence().stream().map(SeriesPages::evidence).toList());
    if (!entry.captured().isEmpty()) {
      out.append("\nCaptured kernels: ").append(entry.captured()).append('\n');
    }
    return out.toString();
  }

  // ---- the series underneath ----

  private static String underneath() {
    StringBuilder out = new StringBuilder(LICENCE);
    out.append(
        """
        # The series underneath, step by step

        [all](README.md)

        "mm: Eliminate fake head pages from vmemmap optimization", in the 14 steps of its fourth \
        posting: all levels have it. What each step left in the port, where, and the test of it.

        In the fourth posting all zones of a node shared one frame for an order, so that the zone of a \
        tail had to be read from its head (step 6). It was merged with a frame for each zone and \
        order. Both are there, merged by default: `--at 49+tails-per-node` has one frame for a node, \
        `--at 49+tails-per-node+zonenum-of-head` asks the head as well. This shows a tail that names \
        the wrong zone, and the rules that it breaks:

            ./vmemmap boot --mem 4G --nodes 1 --cmdline "hugetlb_free_vmemmap=on hugepages=600" \\
                --at 49+tails-per-node --vs 49
        """);
    for (Catalogue.Step step : Catalogue.underneath()) {
      out.append("\n## %d. %s\n\n".formatted(step.number(), step.subject()));
      out.append(step.left()).append("\n\n- Kind: ").append(step.kind()).append('\n');
      out.append("- Java: ").append(code(step.java())).append('\n');
      out.append("- Evidence: ").append(code(step.evidence())).append('\n');
    }
    return out.toString();
  }

  private static String code(List<String> names) {
    return names.stream().map(name -> "`" + name + "`").collect(Collectors.joining(", "));
  }

  private static void list(StringBuilder out, String heading, List<String> items) {
    if (!items.isEmpty()) {
      out.append("\n## ").append(heading).append("\n\n");
      items.forEach(item -> out.append("- ").append(item).append('\n'));
    }
  }

  /** A captured case is a file of the repository, anything else a test. */
  private static String evidence(String name) {
    return name.contains("/")
        ? "[%s](../../cases/%s.json)".formatted(name, name)
        : "`" + name + "`";
  }

  private static String question(String fix) {
    return Arrays.stream(Series.class.getDeclaredMethods())
        .filter(
            method -> {
              LaterFix here = method.getAnnotation(LaterFix.class);
              return here != null && here.value().equals(fix);
            })
        .map(method -> "Series." + method.getName() + "()")
        .collect(Collectors.joining(", "));
  }
}
