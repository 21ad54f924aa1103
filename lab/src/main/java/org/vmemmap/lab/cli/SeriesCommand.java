// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.report.Json;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.types.Series;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap series}. */
@Command(
    name = "vmemmap series",
    usageHelpWidth = 100,
    description = {
      "Lists the patches of the series that the port follows, what kind each is and what can be seen"
          + " of it; 'series show N' tells all about one of them. boot, dump and replay take --at N.",
      ""
    })
final class SeriesCommand implements Callable<Integer> {
  private static final Pattern CHANGE = Pattern.compile("([^:;]+) -> ([^;,]+)");

  private final PrintWriter out;

  @Option(names = "--json", description = "Write the list as JSON.")
  boolean json;

  @Option(names = "--debug", description = "Show where an internal error comes from.")
  boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;

  @Parameters(paramLabel = "show N", description = "One patch.")
  List<String> words = new ArrayList<>();

  SeriesCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    List<Catalogue.Entry> entries = Catalogue.entries();
    if (words.isEmpty()) {
      out.print(json ? json(entries) : text(entries));
    } else if (words.size() == 2 && words.getFirst().equals("show")) {
      int number = Numbers.parse("series show", words.get(1), 1, Series.LAST);
      if (number > entries.size()) {
        throw new BadInput(
            "series show " + number + ": not in the port yet, wanted 1 to " + entries.size());
      }
      out.print(show(entries.get(number - 1)));
    } else {
      throw new BadInput("series " + String.join(" ", words) + ": wanted nothing, or show N");
    }
    return Main.OK;
  }

  private static String text(List<Catalogue.Entry> entries) {
    StringBuilder text = new StringBuilder();
    for (Catalogue.Entry entry : entries) {
      text.append(
          "%2d %s %-13s %s\n"
              .formatted(
                  entry.number(),
                  entry.behavioural() ? "*" : " ",
                  entry.kind(),
                  entry.subject()));
      if (entry.behavioural()) {
        text.append("%19s%s\n".formatted("", entry.observable()));
      }
    }
    text.append("* can be seen; compare with boot, dump or replay --at N\n\nlater fixes:\n");
    Series.LATER_FIXES.forEach(
        fix -> text.append("   ").append(fix).append("  in ").append(in(fix)).append('\n'));
    return text.toString();
  }

  private static String in(String fix) {
    return String.join(
        ", ",
        List.of("7.1", "7.2", "7.3").stream()
            .filter(name -> Series.profile(name).hasFix(fix))
            .toList());
  }

  private static String show(Catalogue.Entry entry) {
    StringBuilder text = new StringBuilder();
    text.append("%d  %s\n".formatted(entry.number(), entry.subject()));
    text.append("kind        %s\n".formatted(entry.kind()));
    text.append("purpose     %s\n".formatted(entry.purpose()));
    text.append("observable  %s\n".formatted(entry.observable()));
    lines(text, "kernel", entry.files());
    lines(text, "java", entry.java());
    lines(text, "evidence", entry.evidence());
    text.append("confidence  %s\n".formatted(entry.confidence()));
    return text.toString();
  }

  private static void lines(StringBuilder text, String name, List<String> lines) {
    for (int i = 0; i < lines.size(); i++) {
      text.append("%-12s%s\n".formatted(i == 0 ? name : "", lines.get(i)));
    }
  }

  private static String json(List<Catalogue.Entry> entries) {
    Json json = new Json().object().list("patches");
    for (Catalogue.Entry entry : entries) {
      Matcher change = CHANGE.matcher(entry.observable());
      boolean found = change.find();
      json.object()
          .put("number", entry.number())
          .put("subject", entry.subject())
          .put("kind", entry.kind())
          .put("behavioural", entry.behavioural())
          .put("observable", entry.observable())
          .put("before", found ? change.group(1).strip() : "")
          .put("after", found ? change.group(2).strip() : "")
          .list("evidence");
      entry.evidence().forEach(json::add);
      json.endList().endObject();
    }
    return json.endList().endObject() + "\n";
  }
}
