// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Compares what a case expects with a tree that was read from a model, value by value.
 *
 * <p>The model's tree is made of maps, lists, strings, numbers, booleans and {@code long[]} (for a
 * set of pfns). Every single value of the expectation is one fact, but for those that only say
 * where to look and those that the capture could not read. A key that one side has and the other
 * has not is a mismatch, and so is a key that the format does not know.
 *
 * <p>In a list that is a set, equal items belong together, then items with equal keys, then what is
 * left in its order. So one wrong number is one mismatch, wherever it stands.
 */
final class Comparer {
  private static final String ABSENT = "(nothing)";

  private final int step;
  private final String label;
  private final long wordMask0;
  private final List<Mismatch> mismatches = new ArrayList<>();
  private long facts;

  /** Compares for one step; {@code wordMask0} is the case's mask for word 0. */
  Comparer(int step, String label, long wordMask0) {
    this.step = step;
    this.label = label;
    this.wordMask0 = wordMask0;
  }

  /** Values compared so far. */
  long facts() {
    return facts;
  }

  /** Differences found so far. */
  List<Mismatch> mismatches() {
    return List.copyOf(mismatches);
  }

  /** Notes a difference that was found elsewhere, as one fact. */
  void differs(String path, String expected, String actual) {
    facts++;
    mismatch(path, expected, actual);
  }

  private void mismatch(String path, String expected, String actual) {
    mismatches.add(new Mismatch(step, label, path, expected, actual));
  }

  /**
   * Compares {@code expected} with {@code actual}, which is null when the model has no such thing.
   */
  void compare(String path, JsonNode expected, @Nullable Object actual, Shape shape) {
    switch (shape) {
      case Shape.Leaf leaf -> leaf(path, expected, actual, leaf.kind());
      case Shape.Words words -> words(path, expected, actual, wordMask0);
      case Shape.Pfns pfns -> pfns(path, expected, actual);
      case Shape.Sequence list -> sequence(path, expected, actual, list.item());
      case Shape.Items list -> items(path, expected, actual, list);
      case Shape.Members members -> members(path, expected, actual, members);
      case Shape.Named named -> named(path, expected, actual, named.value());
    }
  }

  private void leaf(String path, JsonNode expected, @Nullable Object actual, Shape.Kind kind) {
    if (kind.selects() || (kind == Shape.Kind.INT_IF_READ && expected instanceof JsonNode.Null)) {
      return;
    }
    facts++;
    String wanted = text(expected, kind);
    String found = actual == null ? ABSENT : actual.toString();
    if (!wanted.equals(found)) {
      mismatch(path, wanted, found);
    }
  }

  private static String text(JsonNode node, Shape.Kind kind) {
    return switch (kind) {
      case HEX -> WordForm.canonical(node.toString());
      case INT, INT_IF_READ -> Long.toString(Long.parseLong(node.toString()));
      default -> node.toString();
    };
  }

  private void words(String path, JsonNode expected, @Nullable Object actual, long mask0) {
    List<JsonNode> wanted = ((JsonNode.Arr) expected).items();
    List<?> found = actual instanceof List<?> list ? list : List.of();
    for (int i = 0; i < Math.max(wanted.size(), found.size()); i++) {
      String want = i < wanted.size() ? wanted.get(i).toString() : ABSENT;
      String have = i < found.size() ? String.valueOf(found.get(i)) : ABSENT;
      if (want.equals(WordForm.NOT_COMPARABLE)) {
        continue;
      }
      facts++;
      String canonical = want.equals(ABSENT) ? want : WordForm.canonical(want);
      if (i == 0 && canonical.startsWith("0x")) {
        canonical = WordForm.hex(Fields.parseHex(canonical) & mask0);
      }
      if (!canonical.equals(have) && !(have.equals("pgmap") && WordForm.inModule(canonical))) {
        String under = i == 0 ? " under mask " + WordForm.hex(mask0) : "";
        mismatch(path + "[" + i + "]", canonical + under, have);
      }
    }
  }

  private void pfns(String path, JsonNode expected, @Nullable Object actual) {
    facts += 3L * ((JsonNode.Arr) expected).items().size();
    String wanted = Indexes.runs(CaseFiles.pfns(expected));
    String found = actual instanceof long[] numbers ? Indexes.runs(numbers) : ABSENT;
    if (!wanted.equals(found)) {
      mismatch(path, wanted, found);
    }
  }

  private void sequence(String path, JsonNode expected, @Nullable Object actual, Shape item) {
    List<JsonNode> wanted = ((JsonNode.Arr) expected).items();
    List<?> found = actual instanceof List<?> list ? list : List.of();
    if (actual == null) {
      differs(path, wanted.size() + " items", ABSENT);
      return;
    }
    for (int i = 0; i < wanted.size(); i++) {
      String at = path + "[" + i + "]";
      if (i < found.size()) {
        compare(at, wanted.get(i), found.get(i), item);
      } else {
        missing(at, wanted.get(i), item);
      }
    }
    for (int i = wanted.size(); i < found.size(); i++) {
      differs(path + "[" + i + "]", ABSENT, show(found.get(i)));
    }
  }

  private void items(String path, JsonNode expected, @Nullable Object actual, Shape.Items shape) {
    List<JsonNode> wanted = ((JsonNode.Arr) expected).items();
    if (!(actual instanceof List<?> found)) {
      differs(path, wanted.size() + " items", ABSENT);
      return;
    }
    int[] partner = pair(wanted, found, shape);
    boolean[] taken = new boolean[found.size()];
    for (int i = 0; i < wanted.size(); i++) {
      String at = path + "[" + i + "]";
      if (partner[i] < 0) {
        missing(at, wanted.get(i), shape.item());
      } else {
        taken[partner[i]] = true;
        compare(at, wanted.get(i), found.get(partner[i]), shape.item());
      }
    }
    for (int j = 0; j < taken.length; j++) {
      if (!taken[j]) {
        differs(path + "[]", ABSENT, show(found.get(j)));
      }
    }
  }

  /** Which item of {@code found} belongs to each of {@code wanted}; -1 for none. */
  private int[] pair(List<JsonNode> wanted, List<?> found, Shape.Items shape) {
    int[] partner = new int[wanted.size()];
    boolean[] taken = new boolean[found.size()];
    Arrays.fill(partner, -1);
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < partner.length; i++) {
        for (int j = 0; j < taken.length && partner[i] < 0; j++) {
          if (!taken[j] && belong(wanted.get(i), found.get(j), shape, round)) {
            partner[i] = j;
            taken[j] = true;
          }
        }
      }
    }
    return partner;
  }

  private boolean belong(JsonNode wanted, @Nullable Object found, Shape.Items shape, int round) {
    return switch (round) {
      case 0 -> equal(wanted, found, shape.item());
      case 1 -> sameKeys(wanted, found, shape);
      default -> true;
    };
  }

  private boolean equal(JsonNode wanted, @Nullable Object found, Shape shape) {
    Comparer probe = new Comparer(step, label, wordMask0);
    probe.compare("", wanted, found, shape);
    return probe.mismatches.isEmpty();
  }

  private boolean sameKeys(JsonNode wanted, @Nullable Object found, Shape.Items shape) {
    if (!(wanted instanceof JsonNode.Obj object)
        || !(found instanceof Map<?, ?> map)
        || !(shape.item() instanceof Shape.Members members)) {
      return false;
    }
    for (String key : shape.keys()) {
      JsonNode node = object.members().get(key);
      Object value = map.get(key);
      Shape keyShape = members.known().get(key);
      if (node == null || value == null || keyShape == null) {
        if (node != null || value != null) {
          return false;
        }
      } else if (!equal(node, value, keyShape)) {
        return false;
      }
    }
    return true;
  }

  private void members(
      String path, JsonNode expected, @Nullable Object actual, Shape.Members shape) {
    JsonNode.Obj object = (JsonNode.Obj) expected;
    Map<?, ?> found = actual instanceof Map<?, ?> map ? map : Map.of();
    long mask0 = mask0(object);
    object
        .members()
        .forEach(
            (key, node) -> {
              String at = path.isEmpty() ? key : path + "." + key;
              Shape known = shape.known().get(key);
              if (known == null) {
                differs(at, node.toString(), "(a key that this version does not know)");
              } else if (known instanceof Shape.Words) {
                words(at, node, found.get(key), mask0);
              } else {
                compare(at, node, found.get(key), known);
              }
            });
    surplus(path, object, found, shape);
  }

  private long mask0(JsonNode.Obj object) {
    JsonNode mask = object.members().get("mask0");
    return mask == null ? wordMask0 : Fields.parseHex(mask.toString());
  }

  private void surplus(String path, JsonNode.Obj object, Map<?, ?> found, Shape.Members shape) {
    for (String key : shape.known().keySet()) {
      Object value = found.get(key);
      if (value != null && !object.members().containsKey(key)) {
        differs(path.isEmpty() ? key : path + "." + key, ABSENT, show(value));
      }
    }
  }

  private void named(String path, JsonNode expected, @Nullable Object actual, Shape value) {
    Map<?, ?> found = actual instanceof Map<?, ?> map ? map : Map.of();
    Map<String, JsonNode> wanted = ((JsonNode.Obj) expected).members();
    wanted.forEach((key, node) -> compare(path + "." + key, node, found.get(key), value));
    found.forEach(
        (key, have) -> {
          if (!wanted.containsKey(String.valueOf(key))) {
            differs(path + "." + key, ABSENT, show(have));
          }
        });
  }

  /** An item that the model does not have: one mismatch, and all its facts count. */
  private void missing(String path, JsonNode wanted, Shape shape) {
    Comparer probe = new Comparer(step, label, wordMask0);
    probe.compare(path, wanted, Map.of(), shape);
    facts += Math.max(probe.facts, 1);
    mismatch(path, show(wanted), ABSENT);
  }

  private static String show(@Nullable Object value) {
    if (value instanceof Map<?, ?> map) {
      Map<String, String> sorted = new TreeMap<>();
      map.forEach((key, one) -> sorted.put(String.valueOf(key), show(one)));
      return sorted.toString();
    }
    return value instanceof long[] numbers ? Indexes.runs(numbers) : String.valueOf(value);
  }
}
