// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.report.Json;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.lab.series.Measured;
import org.vmemmap.lab.series.Observable;
import org.vmemmap.types.Series;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap series}. */
@Command(
    name = "vmemmap series",
    usageHelpWidth = 100,
    description = {
      "Lists the patches of the series that the port follows, what kind each is and what can be seen"
          + " of it, measured now on the kernel without the patch and on the kernel with it.",
      "  show N              all about one patch",
      "  show underneath N   a step of the series underneath",
      "  table               what can be seen at each of the 50 levels, and the numbers of a"
          + " machine",
      "boot, dump and replay take --at N and --vs M.",
      ""
    },
    footer = {"", "Exit code: 0 done, 2 bad input."})
final class SeriesCommand implements Callable<Integer> {
  private static final String NONE = "-";

  /** Columns of text beside a name. */
  private static final int WIDTH = 88;

  private final PrintWriter out;

  @Mixin JsonOption json = new JsonOption();

  @Option(
      names = "--scenario",
      paramLabel = "FILE",
      description = {
        "table: the machine of FILE instead of the standard one: a case or a scenario of check, whose"
            + " steps are done, or text as boot --machine takes it."
      })
  @Nullable String scenario;

  @Mixin HelpOptions help = new HelpOptions();

  @Parameters(paramLabel = "WHAT", description = "show N, show underneath N or table.")
  List<String> words = new ArrayList<>();

  SeriesCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    if (words.equals(List.of("table"))) {
      out.print(new SeriesTableText(scenario).print(json.wanted));
      return Main.OK;
    }
    if (scenario != null) {
      throw new BadInput("--scenario " + scenario + ": goes with series table");
    }
    List<Catalogue.Entry> entries = Catalogue.entries();
    if (words.isEmpty()) {
      out.print(json.wanted ? json(entries) : text(entries));
    } else if (words.size() == 2
        && words.getFirst().equals("show")
        && !words.getLast().equals("underneath")) {
      int number = Numbers.parse("series show", words.get(1), 1, Series.LAST);
      out.print(show(entries.get(number - 1)));
    } else if (words.size() == 3 && words.subList(0, 2).equals(List.of("show", "underneath"))) {
      List<Catalogue.Step> steps = Catalogue.underneath();
      int number = Numbers.parse("series show underneath", words.get(2), 1, steps.size());
      out.print(UnderneathText.show(steps.get(number - 1)));
    } else {
      throw new BadInput("series " + String.join(" ", words) + ": wanted nothing, show N, show underneath N or table");
    }
    return Main.OK;
  }

  private static String text(List<Catalogue.Entry> entries) {
    StringBuilder text = new StringBuilder();
    List<List<Measured>> measured = Measured.of(entries);
    for (Catalogue.Entry entry : entries) {
      text.append(
          "%2d %s %-13s %s\n"
              .formatted(
                  entry.number(),
                  entry.behavioural() ? "*" : " ",
                  entry.kind(),
                  entry.subject()));
      for (Measured one : measured.get(entry.number() - 1)) {
        text.append("%19s%s\n".formatted("", line(one)));
      }
    }
    text.append("* can be seen; compare with boot, dump or replay --at N --vs M\n");
    text.append("\nlater fixes, off at all levels; --at 49+FIX turns one on:\n");
    Series.LATER_FIXES.forEach(
        fix -> text.append("     %-30sin %s\n".formatted(fix, String.join(", ", in(fix)))));
    return text.append(UnderneathText.list()).toString();
  }

  private static String line(Measured one) {
    Observable seen = one.observable();
    return "%s: %s %s -> %s".formatted(seen.scenario(), seen.unit(), one.before(), one.after());
  }

  private static String what(Measured one) {
    return one.observable().unit() + ", " + one.observable().scenario();
  }

  private static List<String> in(String fix) {
    return Series.RELEASED.stream().filter(name -> Series.profile(name).hasFix(fix)).toList();
  }

  private static String show(Catalogue.Entry entry) {
    StringBuilder text = new StringBuilder();
    text.append("%d  %s\n".formatted(entry.number(), entry.subject()));
    lines(text, "kind", List.of(entry.kind()));
    lines(text, "purpose", List.of(entry.purpose()));
    lines(text, "observable", List.of(entry.observable()));
    List<Measured> measured = Measured.of(List.of(entry)).getFirst();
    lines(text, "measured", measured.stream().map(SeriesCommand::line).toList());
    lines(text, "breaks", entry.breaks().stream().map(SeriesCommand::broken).toList());
    lines(text, "kernel", entry.files());
    lines(text, "asked by", some("Series." + entry.predicate() + "()", entry.behavioural()));
    lines(text, "java", entry.java());
    lines(text, "evidence", entry.evidence());
    lines(text, "captured", some(entry.captured(), !entry.captured().isEmpty()));
    lines(text, "confidence", List.of(entry.confidence()));
    return text.toString();
  }

  private static List<String> some(String text, boolean there) {
    return there ? List.of(text) : List.of();
  }

  private static String broken(Catalogue.Break one) {
    return "%s at levels %d to %d on %s: %s"
        .formatted(
            one.rule(), one.from(), one.to(), String.join(", ", one.machines()), one.why());
  }

  /** A name and its lines beside it; long ones are folded. */
  static void lines(StringBuilder text, String name, List<String> lines) {
    String beside = name;
    for (String line : lines) {
      StringBuilder row = new StringBuilder();
      for (String word : line.split(" ", -1)) {
        if (!row.isEmpty() && row.length() + word.length() + 1 > WIDTH) {
          text.append("%-12s%s\n".formatted(beside, row));
          beside = "";
          row.setLength(0);
        }
        row.append(row.isEmpty() ? "" : " ").append(word);
      }
      text.append("%-12s%s\n".formatted(beside, row));
      beside = "";
    }
  }

  /** A patch that changes several observables has the first in its fields, the others in more. */
  private static String json(List<Catalogue.Entry> entries) {
    List<List<Measured>> measured = Measured.of(entries);
    Json json = new Json().object().list("patches");
    for (Catalogue.Entry entry : entries) {
      List<Measured> changes = measured.get(entry.number() - 1);
      json.object()
          .put("number", entry.number())
          .put("subject", entry.subject())
          .put("kind", entry.kind())
          .put("behavioural", entry.behavioural());
      if (changes.isEmpty()) {
        json.put("observable", NONE).put("before", NONE).put("after", NONE);
      } else {
        change(json, changes.getFirst());
        json.list("more");
        for (Measured other : changes.subList(1, changes.size())) {
          change(json.object(), other);
          json.endObject();
        }
        json.endList();
      }
      texts(json, "evidence", entry.evidence());
      json.endObject();
    }
    json.endList().list("laterFixes");
    for (String fix : Series.LATER_FIXES) {
      texts(json.object().put("name", fix), "in", in(fix)).endObject();
    }
    return UnderneathText.json(json.endList()).endObject() + "\n";
  }

  /** A list of texts. */
  static Json texts(Json json, String name, List<String> texts) {
    json.list(name);
    texts.forEach(json::add);
    return json.endList();
  }

  private static void change(Json json, Measured one) {
    json.put("observable", what(one)).put("before", one.before()).put("after", one.after());
  }
}
