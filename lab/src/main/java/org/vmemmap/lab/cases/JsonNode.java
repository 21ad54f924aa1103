// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** A value of a JSON file that remembers where it stood. */
public sealed interface JsonNode {
  /** Where the value starts. */
  Pos pos();

  /** The kind in words, for messages. */
  String kind();

  /**
   * A place in a file.
   *
   * @param line from 1
   * @param column from 1
   */
  record Pos(int line, int column) {}

  /** An object; the members are in the order of the file. */
  record Obj(Pos pos, Map<String, JsonNode> members) implements JsonNode {
    @Override
    public String kind() {
      return "an object";
    }

    @Override
    public String toString() {
      StringJoiner text = new StringJoiner(", ", "{", "}");
      members.forEach((key, value) -> text.add("\"" + key + "\": " + value));
      return text.toString();
    }
  }

  /** A list. */
  record Arr(Pos pos, List<JsonNode> items) implements JsonNode {
    @Override
    public String kind() {
      return "a list";
    }

    @Override
    public String toString() {
      return items.toString();
    }
  }

  /** A string. */
  record Text(Pos pos, String value) implements JsonNode {
    @Override
    public String kind() {
      return "a string";
    }

    @Override
    public String toString() {
      return value;
    }
  }

  /** A number as it is written. */
  record Num(Pos pos, String text) implements JsonNode {
    @Override
    public String kind() {
      return "a number";
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /** True or false. */
  record Bool(Pos pos, boolean value) implements JsonNode {
    @Override
    public String kind() {
      return "true or false";
    }

    @Override
    public String toString() {
      return Boolean.toString(value);
    }
  }

  /** Null. */
  record Null(Pos pos) implements JsonNode {
    @Override
    public String kind() {
      return "null";
    }

    @Override
    public String toString() {
      return "null";
    }
  }
}
