// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.List;
import org.vmemmap.lab.boot.BadInput;

/**
 * Checks that what a file says has the types of the case format, so that a broken file is a message
 * with a place in it and not a wrong comparison. Keys that the format does not know pass: the
 * comparison reports them.
 */
final class ShapeCheck {
  private final String file;

  ShapeCheck(String file) {
    this.file = file;
  }

  /**
   * Checks {@code node} against {@code shape}.
   *
   * @param name the key that the value stands under
   * @throws BadInput with file, line and column
   */
  void check(String name, JsonNode node, Shape shape) {
    switch (shape) {
      case Shape.Leaf leaf -> leaf(name, node, leaf.kind());
      case Shape.Words words -> words(name, node);
      case Shape.Pfns pfns -> pfns(name, node);
      case Shape.Sequence list -> items(name, node, list.item());
      case Shape.Items list -> items(name, node, list.item());
      case Shape.Members members -> members(name, node, members);
      case Shape.Named named -> {
        for (JsonNode value : object(name, node).members().values()) {
          check(name, value, named.value());
        }
      }
    }
  }

  private void members(String name, JsonNode node, Shape.Members members) {
    JsonNode.Obj object = object(name, node);
    for (String key : members.required()) {
      if (!object.members().containsKey(key)) {
        throw wrong(node, "an item of \"" + name + "\" has no \"" + key + "\"", "this field");
      }
    }
    object
        .members()
        .forEach(
            (key, value) -> {
              Shape shape = members.known().get(key);
              if (shape != null) {
                check(key, value, shape);
              }
            });
  }

  private JsonNode.Obj object(String name, JsonNode node) {
    if (node instanceof JsonNode.Obj object) {
      return object;
    }
    throw wrong(name, node, "an object");
  }

  private void items(String name, JsonNode node, Shape item) {
    for (JsonNode one : list(name, node)) {
      check(name, one, item);
    }
  }

  private List<JsonNode> list(String name, JsonNode node) {
    if (node instanceof JsonNode.Arr list) {
      return list.items();
    }
    throw wrong(name, node, "a list");
  }

  private void leaf(String name, JsonNode node, Shape.Kind kind) {
    boolean good =
        switch (kind) {
          case INT, WHERE -> number(node);
          case INT_IF_READ -> node instanceof JsonNode.Null || number(node);
          case HEX, MASK -> node instanceof JsonNode.Text text && hex(text.value());
          case TEXT -> node instanceof JsonNode.Text;
          case BOOL -> node instanceof JsonNode.Bool;
          case INDEXES -> node instanceof JsonNode.Text text && indexes(text.value());
        };
    if (!good) {
      throw wrong(name, node, kind.wanted());
    }
  }

  private static boolean number(JsonNode node) {
    return node instanceof JsonNode.Num number && number.text().matches("-?\\d{1,18}");
  }

  private static boolean hex(String text) {
    return text.matches("0x[0-9a-f]{1,16}");
  }

  private static boolean indexes(String text) {
    try {
      return Indexes.parse(text).length > 0;
    } catch (NumberFormatException e) {
      return false;
    }
  }

  private void words(String name, JsonNode node) {
    List<JsonNode> words = list(name, node);
    for (JsonNode word : words) {
      if (!(word instanceof JsonNode.Text text) || !WordForm.valid(text.value())) {
        throw wrong(name, word, "\"0x0\", \"self+0x8\", \"page[1]+0x8\", \"pgmap\" or \"-\"");
      }
    }
    if (words.isEmpty()) {
      throw wrong(node, "\"" + name + "\" is empty", "the words of a struct page");
    }
  }

  private void pfns(String name, JsonNode node) {
    for (JsonNode run : list(name, node)) {
      List<JsonNode> numbers = list(name, run);
      if (numbers.size() != 3 || !numbers.stream().allMatch(ShapeCheck::number)) {
        throw wrong(name, run, "three numbers [first, count, step]");
      }
    }
  }

  private BadInput wrong(String name, JsonNode node, String wanted) {
    String found =
        node instanceof JsonNode.Text || node instanceof JsonNode.Num
            ? "\"" + node + "\""
            : node.kind();
    return wrong(node, "\"" + name + "\" is " + found, wanted);
  }

  private BadInput wrong(JsonNode node, String problem, String wanted) {
    return JsonParser.at(file, node.pos(), problem + "; wanted " + wanted);
  }
}
