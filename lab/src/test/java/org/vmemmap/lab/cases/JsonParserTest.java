// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.lab.boot.BadInput;

/** The tree that a file becomes, and the one line that a broken file becomes. */
class JsonParserTest {
  private static JsonNode member(JsonNode node, String key) {
    return Objects.requireNonNull(((JsonNode.Obj) node).members().get(key));
  }

  /** Every kind of value remembers the line and column that it starts at. */
  @Test
  void parse_oneValueOfEachKind_knowsWhereEachStarts() {
    String text =
        """
        {
         "object": {"a": 1},
         "list": [10, 20],
         "text": "abc",
         "number": -7,
         "yes": true,
         "no": false,
         "nothing": null
        }
        """;

    JsonNode root = JsonParser.parse("f", text);

    // Expect the first character of each value, columns counted from 1.
    assertEquals(new JsonNode.Pos(1, 1), root.pos());
    assertEquals(new JsonNode.Pos(2, 12), member(root, "object").pos());
    assertEquals(new JsonNode.Pos(3, 10), member(root, "list").pos());
    assertEquals(new JsonNode.Pos(4, 10), member(root, "text").pos());
    assertEquals(new JsonNode.Pos(5, 12), member(root, "number").pos());
    assertEquals(new JsonNode.Pos(6, 9), member(root, "yes").pos());
    assertEquals(new JsonNode.Pos(7, 8), member(root, "no").pos());
    assertEquals(new JsonNode.Pos(8, 13), member(root, "nothing").pos());
    assertEquals(
        new JsonNode.Pos(3, 15), ((JsonNode.Arr) member(root, "list")).items().get(1).pos());
  }

  /** Text that is no JSON is one line: file, line, column, what is wrong, what would be right. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"a": }           | f:1:7: not JSON (Expected value); wanted a value, a comma or a closing bracket
          {"a": 1 "b": 2}   | f:1:10: not JSON (Unterminated object); wanted a value, a comma or a closing bracket
          {"a": [1, 2       | f:1:12: the file ends too early; wanted a closing quote, bracket or brace
          {"a": 1, "a": 2}  | f:1:10: the key "a" stands twice in one object; wanted it once
          {} {}             | f:1:5: not JSON; wanted a value, a comma or a closing bracket
          {"a": 'x'}        | f:1:8: not JSON; wanted a value, a comma or a closing bracket
          """)
  void parse_brokenText_isOneLineWithItsPlace(String text, String message) {
    BadInput thrown = assertThrows(BadInput.class, () -> JsonParser.parse("f", text));

    assertEquals(message, thrown.getMessage());
  }
}
