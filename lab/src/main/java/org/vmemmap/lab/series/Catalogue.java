// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.cases.JsonNode;
import org.vmemmap.lab.cases.JsonParser;
import org.vmemmap.types.Series;

/** The entries of the patches, from the data files beside this class: {@code 01.json} ... */
public final class Catalogue {
  private Catalogue() {}

  /**
   * One patch.
   *
   * @param number 1 to 49
   * @param subject the patch's subject
   * @param kind fix, behaviour, refactoring, clean-up, configuration or documentation
   * @param behavioural true when something can be seen of it
   * @param files kernel files with the functions that it touches
   * @param java places of the port that are tagged with it, as in {@code Sparse.sparseInit()}
   * @param purpose why it was made, in two sentences
   * @param observable what is different before and after, with numbers
   * @param measured names of the {@link Observables} that it changes; none when nothing can be seen
   * @param evidence test classes and cases that show it
   * @param breaks rules that do not hold at some levels because of it
   * @param confidence how sure it is, and {@code inferred: reason} where the text is lost
   */
  public record Entry(
      int number,
      String subject,
      String kind,
      boolean behavioural,
      List<String> files,
      List<String> java,
      String purpose,
      String observable,
      List<String> measured,
      List<String> evidence,
      List<Break> breaks,
      String confidence) {}

  /**
   * A rule that the kernel itself breaks at some levels, for a while.
   *
   * @param rule its name
   * @param from the first level
   * @param to the last level
   * @param machines how the names of the kinds of machine begin where it shows
   * @param scenario the standard scenario that shows it
   * @param why what the kernel does
   */
  public record Break(
      String rule, int from, int to, List<String> machines, String scenario, String why) {
    /** True when it is to be expected. */
    public boolean at(int level, String machine, String of) {
      boolean there = machines.stream().anyMatch(machine::startsWith);
      return from <= level && level <= to && there && scenario.equals(of);
    }
  }

  /** All entries, by number. */
  public static List<Entry> entries() {
    List<Entry> entries = new ArrayList<>();
    for (int n = 1; n <= Series.LAST; n++) {
      String name = "%02d.json".formatted(n);
      try (InputStream in = Catalogue.class.getResourceAsStream(name)) {
        if (in != null) {
          String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
          entries.add(entry((JsonNode.Obj) JsonParser.parse(name, text)));
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
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
        texts(node, "files"),
        texts(node, "java"),
        text(node, "purpose"),
        text(node, "observable"),
        has(node, "measured") ? texts(node, "measured") : List.of(),
        texts(node, "evidence"),
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
                text(one, "scenario"),
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
