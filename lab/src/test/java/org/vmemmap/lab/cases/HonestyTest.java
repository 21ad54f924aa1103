// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The comparison looks at everything: whatever single fact of a case is changed, the replay reports
 * it, and nothing else.
 *
 * <p>The model runs once. Then each fact of the expectation is changed in turn, and the changed
 * expectation is compared with what the model showed.
 */
class HonestyTest {
  /**
   * A case of each kind. Expect, for every fact of every step, exactly one mismatch at the place
   * that was changed, or below it.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "base-4g-numa2",
        "hp2m-boot64-4g-on",
        "hp1g-boot2-8g-on",
        "dax-hmem-4k",
        "dax-pmem-dev-2m",
        "kpf-2m-2g-on",
        "prehvo-dma32-4g-on"
      })
  void compare_anyFactChanged_isReported(String name) {
    VmemmapCase one = GivenCases.x86(name);
    List<String> silent = new ArrayList<>();
    List<String> changedFacts = new ArrayList<>();
    CaseRun.Listener listener =
        (step, actual) -> {
          Consumer<Changed> check =
              changed -> {
                Comparer comparer = new Comparer(0, step.label(), one.wordMask0());
                comparer.compare("", changed.tree(), actual, Shape.EXPECT);
                changedFacts.add(changed.path());
                if (comparer.mismatches().size() != 1) {
                  silent.add(step.label() + " " + changed.path() + " " + comparer.mismatches());
                }
              };
          new Mutator(check).mutate(step.expect());
        };

    new CaseRun(one, listener).run();

    assertEquals(List.of(), silent);
    assertEquals(true, changedFacts.size() > 20, "changed " + changedFacts.size());
  }

  /** An expectation in which one fact is another. */
  record Changed(String path, JsonNode.Obj tree) {}

  /** Changes one fact after the other, following the shape. */
  private static final class Mutator {
    private final Consumer<Changed> check;

    Mutator(Consumer<Changed> check) {
      this.check = check;
    }

    void mutate(JsonNode.Obj expect) {
      object("", expect, Shape.EXPECT, changed -> (JsonNode.Obj) changed);
    }

    private void visit(String path, JsonNode node, Shape shape, Rebuild rebuild) {
      switch (shape) {
        case Shape.Leaf leaf -> leaf(path, node, leaf.kind(), rebuild);
        case Shape.Words words -> words(path, (JsonNode.Arr) node, rebuild);
        case Shape.Pfns pfns -> pfns(path, (JsonNode.Arr) node, rebuild);
        case Shape.Sequence list -> list(path, (JsonNode.Arr) node, list.item(), rebuild);
        case Shape.Items list -> list(path, (JsonNode.Arr) node, list.item(), rebuild);
        case Shape.Members members -> object(path, (JsonNode.Obj) node, members, rebuild);
        case Shape.Named named -> object(path, (JsonNode.Obj) node, all(node, named), rebuild);
      }
    }

    private static Shape.Members all(JsonNode node, Shape.Named named) {
      Map<String, Shape> known = new LinkedHashMap<>();
      ((JsonNode.Obj) node).members().keySet().forEach(key -> known.put(key, named.value()));
      return new Shape.Members(known, java.util.Set.of());
    }

    private void object(String path, JsonNode.Obj node, Shape.Members shape, Rebuild rebuild) {
      node.members()
          .forEach(
              (key, value) -> {
                Shape known = shape.known().get(key);
                if (known != null) {
                  visit(
                      path + "." + key,
                      value,
                      known,
                      changed -> {
                        Map<String, JsonNode> members = new LinkedHashMap<>(node.members());
                        members.put(key, changed);
                        return rebuild.with(new JsonNode.Obj(node.pos(), members));
                      });
                }
              });
    }

    private void list(String path, JsonNode.Arr node, Shape item, Rebuild rebuild) {
      for (int i = 0; i < node.items().size(); i++) {
        int at = i;
        visit(
            path + "[" + i + "]",
            node.items().get(i),
            item,
            changed -> {
              List<JsonNode> items = new ArrayList<>(node.items());
              items.set(at, changed);
              return rebuild.with(new JsonNode.Arr(node.pos(), items));
            });
      }
    }

    private void leaf(String path, JsonNode node, Shape.Kind kind, Rebuild rebuild) {
      if (kind.selects() || node instanceof JsonNode.Null) {
        return;
      }
      check.accept(new Changed(path, rebuild.with(other(node))));
    }

    private static JsonNode other(JsonNode node) {
      return switch (node) {
        case JsonNode.Num number -> new JsonNode.Num(number.pos(), plusOne(number.text()));
        case JsonNode.Bool bool -> new JsonNode.Bool(bool.pos(), !bool.value());
        case JsonNode.Text text when text.value().startsWith("0x") ->
            new JsonNode.Text(text.pos(), WordForm.hex(Fields.parseHex(text.value()) ^ 1));
        case JsonNode.Text text -> new JsonNode.Text(text.pos(), text.value() + "?");
        default -> node;
      };
    }

    private static String plusOne(String number) {
      return Long.toString(Long.parseLong(number) + 1);
    }

    private void words(String path, JsonNode.Arr node, Rebuild rebuild) {
      for (int i = 0; i < node.items().size(); i++) {
        String word = node.items().get(i).toString();
        if (!word.equals(WordForm.NOT_COMPARABLE)) {
          int at = i;
          JsonNode changed = new JsonNode.Text(node.pos(), otherWord(word, i == 0));
          List<JsonNode> items = new ArrayList<>(node.items());
          items.set(at, changed);
          check.accept(
              new Changed(path + "[" + i + "]", rebuild.with(new JsonNode.Arr(node.pos(), items))));
        }
      }
    }

    /** Another word; in word 0 a bit of the node, which every mask has. */
    private static String otherWord(String word, boolean first) {
      if (!word.startsWith("0x")) {
        return "0x1234";
      }
      return WordForm.hex(Fields.parseHex(word) ^ (first ? 1L << 60 : 1));
    }

    private void pfns(String path, JsonNode.Arr node, Rebuild rebuild) {
      JsonNode.Arr run = (JsonNode.Arr) node.items().getFirst();
      List<JsonNode> numbers = new ArrayList<>(run.items());
      numbers.set(0, new JsonNode.Num(run.pos(), plusOne(numbers.getFirst().toString())));
      List<JsonNode> runs = new ArrayList<>(node.items());
      runs.set(0, new JsonNode.Arr(run.pos(), numbers));
      check.accept(new Changed(path, rebuild.with(new JsonNode.Arr(node.pos(), runs))));
    }

    /** Puts a changed value back where the old one stood. */
    private interface Rebuild {
      JsonNode.Obj with(JsonNode changed);
    }
  }
}
