// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;

/** The members of an object with their types checked; every complaint names the place. */
public final class Fields {
  private final String file;
  private final JsonNode.Obj object;
  private final String what;

  /**
   * Reads members.
   *
   * @param what the object in words, as in {@code operation setPool}
   */
  Fields(String file, JsonNode.Obj object, String what) {
    this.file = file;
    this.object = object;
    this.what = what;
  }

  /** The node as an object. */
  public static Fields of(String file, JsonNode node, String what) {
    if (node instanceof JsonNode.Obj object) {
      return new Fields(file, object, what);
    }
    throw JsonParser.at(file, node.pos(), what + " is " + node.kind() + "; wanted an object");
  }

  JsonNode.Obj object() {
    return object;
  }

  /** The names of all members. */
  public java.util.Set<String> keys() {
    return object.members().keySet();
  }

  String file() {
    return file;
  }

  /** True when the member is there and not null. */
  public boolean has(String key) {
    JsonNode node = object.members().get(key);
    return node != null && !(node instanceof JsonNode.Null);
  }

  /** The member, which must be there. */
  public JsonNode need(String key) {
    JsonNode node = object.members().get(key);
    if (node == null) {
      throw JsonParser.at(file, object.pos(), what + " has no \"" + key + "\"; wanted this field");
    }
    return node;
  }

  /** A complaint about the member's type. */
  public BadInput wrong(String key, String wanted) {
    JsonNode node = need(key);
    String found =
        node instanceof JsonNode.Text || node instanceof JsonNode.Num
            ? "\"" + node + "\""
            : node.kind();
    return JsonParser.at(
        file, node.pos(), "\"" + key + "\" of " + what + " is " + found + "; wanted " + wanted);
  }

  /** The member as text. */
  public String text(String key) {
    if (need(key) instanceof JsonNode.Text text) {
      return text.value();
    }
    throw wrong(key, "a string");
  }

  /** The member as text; null when it is absent. */
  public @Nullable String optionalText(String key) {
    return has(key) ? text(key) : null;
  }

  /** The member as a truth value. */
  public boolean bool(String key) {
    if (need(key) instanceof JsonNode.Bool bool) {
      return bool.value();
    }
    throw wrong(key, "true or false");
  }

  /** The member as a truth value, or {@code absent}. */
  public boolean boolOr(String key, boolean absent) {
    return has(key) ? bool(key) : absent;
  }

  /** The member as a whole number. */
  public long number(String key) {
    if (need(key) instanceof JsonNode.Num number) {
      try {
        return Long.parseLong(number.text());
      } catch (NumberFormatException e) {
        throw wrong(key, "a whole number");
      }
    }
    throw wrong(key, "a whole number");
  }

  /** The member as a whole number from 0 on. */
  public int small(String key) {
    long value = number(key);
    if (value < 0 || value > Integer.MAX_VALUE) {
      throw wrong(key, "a whole number of 0 or more");
    }
    return (int) value;
  }

  /** The member as a whole number, or {@code absent}. */
  public long numberOr(String key, long absent) {
    return has(key) ? number(key) : absent;
  }

  /** A string {@code 0x...} as 64 bits. */
  public long hex(String key) {
    try {
      return parseHex(text(key));
    } catch (NumberFormatException e) {
      throw wrong(key, "a string like \"0x1000\"");
    }
  }

  /** The 64 bits of {@code 0x...}. */
  static long parseHex(String text) {
    if (!text.startsWith("0x")) {
      throw new NumberFormatException(text);
    }
    return Long.parseUnsignedLong(text.substring(2), 16);
  }

  Fields object(String key, String name) {
    return of(file, need(key), name);
  }

  /** The items of a list of objects; none when the member is absent. */
  public <T> List<T> list(String key, String item, Function<Fields, T> reader) {
    List<T> items = new ArrayList<>();
    for (JsonNode node : nodes(key)) {
      items.add(reader.apply(of(file, node, item)));
    }
    return items;
  }

  /** The items of a list; none when the member is absent. */
  public List<JsonNode> nodes(String key) {
    if (!has(key)) {
      return List.of();
    }
    if (need(key) instanceof JsonNode.Arr list) {
      return list.items();
    }
    throw wrong(key, "a list");
  }

  /** The strings of a list of strings; none when the member is absent. */
  List<String> texts(String key) {
    List<String> texts = new ArrayList<>();
    for (JsonNode node : nodes(key)) {
      if (!(node instanceof JsonNode.Text text)) {
        throw wrong(key, "a list of strings");
      }
      texts.add(text.value());
    }
    return texts;
  }
}
