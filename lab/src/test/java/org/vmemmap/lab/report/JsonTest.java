// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** The JSON that reports are made of. */
class JsonTest {
  /** Objects, lists and every kind of value, with what has to be escaped. */
  @Test
  void toString_allKindsOfValues_isJson() {
    Json json =
        new Json()
            .object()
            .put("n", -1)
            .put("b", true)
            .put("s", "a\"b\\c\n")
            .putHex("h", 0xea00L)
            .list("l")
            .add("x")
            .object()
            .endObject()
            .endList()
            .endObject();
    // Expect two blanks for each level and a comma between neighbours.
    assertEquals(
        """
        {
          "n": -1,
          "b": true,
          "s": "a\\"b\\\\c\\u000a",
          "h": "0xea00",
          "l": [
            "x",
            {}
          ]
        }\
        """,
        json.toString());
  }
}
