// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.cases.JsonNode;
import org.vmemmap.lab.cases.JsonParser;
import org.vmemmap.types.Series;

/** The entries of the patches, from the data files beside this class: {@code 01.json} ... */
public final class Catalogue {
  /** How {@link #broken} begins. */
  public static final String PATCH = "patch ";

  private static final int STEPS = 14;

  private Catalogue() {}

  /**
   * One patch.
   *
   * @param number 1 to 49
   * @param subject the patch's subject
   * @param kind fix, behaviour, refactoring, clean-up, configuration or documentation
   * @param behavioural true when something can be seen of it
   * @param predicate the question of {@link Series} that the code asks; empty when nothing can be
   *     seen
   * @param files kernel files with the functions that it touches
   * @param java places of the port that are tagged with it, as in {@code Sparse.sparseInit()}
   * @param purpose why it was made, in two sentences
   * @param observable what is different before and after, with numbers
   * @param measured names of the {@link Observables} that it changes; none when nothing can be seen
   * @param evidence test classes and cases that show it
   * @param captured what the captured kernels among the evidence show of it; empty without any
   * @param breaks rules that do not hold at some levels because of it
   * @param confidence how sure it is, and {@code inferred: reason} where the text is lost
   */
  public record Entry(
      int number,
      String subject,
      String kind,
      boolean behavioural,
      String predicate,
      List<String> files,
      List<String> java,
      String purpose,
      String observable,
      List<String> measured,
      List<String> evidence,
      String captured,
      List<Break> breaks,
      String confidence) {}

  /**
   * A rule that the kernel itself breaks at some levels, for a while.
   *
   * @param rule its name
   * @param from the first level
   * @param to the last level
   * @param machines how the names of the kinds of machine begin where it shows
   * @param scenarios the standard scenarios that show it; {@value #REFUSED} for one in which an
   *     allocation fails
   * @param found what a report of it says, in part
   * @param why what the kernel does
   */
  public record Break(
      String rule,
      int from,
      int to,
      List<String> machines,
      List<String> scenarios,
      String found,
      String why) {
    /** Nothing shows it as long as nothing fails. */
    public static final String REFUSED = "refused";

    /** True when it is to be expected. */
    public boolean at(int level, String machine, String of) {
      return from <= level && level <= to && on(machine) && scenarios.contains(of);
    }

    private boolean on(String machine) {
      return machines.stream().anyMatch(machine::startsWith);
    }

    /** The same for any kernel: a release has patches here and there. */
    private boolean at(Series series, String machine) {
      return (from == 0 || series.has(from)) && !series.has(to + 1) && on(machine);
    }
  }

  /**
   * Which patch a rule is broken for, or by whose absence, at the level of a kernel.
   *
   * @param machine name of the kind of machine
   * @param rule the rule that is broken
   * @param found what was found
   * @return as in {@code patch 1: its subject}; empty for none
   */
  public static String broken(Series series, String machine, String rule, String found) {
    for (Entry entry : entries()) {
      for (Break one : entry.breaks()) {
        boolean same = one.rule().equals(rule) && found.contains(one.found());
        if (same && one.at(series, machine)) {
          return PATCH + entry.number() + ": " + entry.subject();
        }
      }
    }
    return "";
  }

  /**
   * One step of "mm: Eliminate fake head pages from vmemmap optimization", which the series stands
   * on.
   *
   * @param number 1 to 14
   * @param subject the step's subject in the fourth posting
   * @param kind what it is
   * @param left what it left in the port
   * @param java where
   * @param evidence the test of it
   */
  public record Step(
      int number,
      String subject,
      String kind,
      String left,
      List<String> java,
      List<String> evidence) {}

  /** The steps of the series underneath, by number. */
  public static List<Step> underneath() {
    List<Step> steps = new ArrayList<>();
    for (int n = 1; n <= STEPS; n++) {
      JsonNode.Obj node = read("underneath/%02d.json".formatted(n));
      if (node != null) {
        steps.add(
            new Step(
                Integer.parseInt(text(node, "number")),
                text(node, "subject"),
                text(node, "kind"),
                text(node, "left"),
                texts(node, "java"),
                texts(node, "evidence")));
      }
    }
    return steps;
  }

  private static JsonNode.@Nullable Obj read(String name) {
    try (InputStream in = Catalogue.class.getResourceAsStream(name)) {
      if (in == null) {
        return null;
      }
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return (JsonNode.Obj) JsonParser.parse(name, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All entries, by number. */
  public static List<Entry> entries() {
    List<Entry> entries = new ArrayList<>();
    for (int n = 1; n <= Series.LAST; n++) {
      JsonNode.Obj node = read("%02d.json".formatted(n));
      if (node != null) {
        entries.add(entry(node));
      }
    }
    return entries;
  }

  private static Entry entry(JsonNode.Obj node) {
    return new Entry(
        Integer.parseInt(text(node, "number")),
        text(node, "subject"),
        text(node, "kind"),
        Boolean.parseBoolean(text(node, "behavioural")),
        has(node, "predicate") ? text(node, "predicate") : "",
        texts(node, "files"),
        texts(node, "java"),
        text(node, "purpose"),
        text(node, "observable"),
        has(node, "measured") ? texts(node, "measured") : List.of(),
        texts(node, "evidence"),
        has(node, "captured") ? text(node, "captured") : "",
        breaks(node),
        text(node, "confidence"));
  }

  private static boolean has(JsonNode.Obj node, String key) {
    return node.members().containsKey(key);
  }

  private static List<Break> breaks(JsonNode.Obj node) {
    List<Break> breaks = new ArrayList<>();
    if (node.members().get("breaks") instanceof JsonNode.Arr list) {
      for (JsonNode item : list.items()) {
        JsonNode.Obj one = (JsonNode.Obj) item;
        breaks.add(
            new Break(
                text(one, "rule"),
                Integer.parseInt(text(one, "from")),
                Integer.parseInt(text(one, "to")),
                texts(one, "machines"),
                texts(one, "scenarios"),
                text(one, "found"),
                text(one, "why")));
      }
    }
    return breaks;
  }

  private static String text(JsonNode.Obj node, String key) {
    JsonNode member = node.members().get(key);
    if (member == null) {
      throw new IllegalStateException("the catalogue has an entry without " + key);
    }
    return member.toString();
  }

  private static List<String> texts(JsonNode.Obj node, String key) {
    if (node.members().get(key) instanceof JsonNode.Arr list) {
      return list.items().stream().map(JsonNode::toString).toList();
    }
    throw new IllegalStateException("the catalogue has an entry without " + key);
  }
}
