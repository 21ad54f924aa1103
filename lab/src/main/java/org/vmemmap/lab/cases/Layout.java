// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A layout file: how a real kernel's structures lie in memory, read from its type information.
 * Schema {@value #SCHEMA}.
 *
 * @param name folder and file name without ending
 * @param structs structures by name
 * @param enums numbers by enum and name
 * @param wordZero where node, zone and last_cpupid sit in word 0 of a struct page
 * @param tails the orders that {@code zone->vmemmap_tails} has slots for; null where there is none
 */
public record Layout(
    String name,
    Map<String, Struct> structs,
    Map<String, Map<String, Long>> enums,
    WordZero wordZero,
    @Nullable Tails tails) {
  /** The schema that is read. */
  public static final String SCHEMA = "vmemmap-layout/1";

  /** A structure: its bytes, and its fields by name. */
  public record Struct(int size, Map<String, Field> fields) {
    /** A field that must be there. */
    public Field field(String name) {
      Field field = fields.get(name);
      if (field == null) {
        throw new IllegalArgumentException("no field " + name);
      }
      return field;
    }
  }

  /** A field: offset and size in bytes, and its C type. */
  public record Field(int offset, int size, String type) {}

  /** Bit positions and widths in word 0 of a struct page. */
  public record WordZero(
      int nodeShift,
      int nodeBits,
      int zoneShift,
      int zoneBits,
      int lastCpupidShift,
      int lastCpupidBits) {}

  /** Least and greatest order, and the number of slots. */
  public record Tails(int minOrder, int maxOrder, int entries) {}

  /** A structure that must be there. */
  public Struct struct(String structName) {
    Struct struct = structs.get(structName);
    if (struct == null) {
      throw new IllegalArgumentException("no struct " + structName);
    }
    return struct;
  }

  /**
   * Reads a layout file.
   *
   * @throws org.vmemmap.lab.boot.BadInput one line with file, line and column
   */
  public static Layout read(Path path) {
    return parse(path.toString(), CaseFiles.text(path));
  }

  /** Reads a layout from text; {@code file} is its name in messages. */
  static Layout parse(String file, String text) {
    return of(Fields.of(file, JsonParser.parse(file, text), "a layout file"));
  }

  /** Reads a layout from the members of its file. */
  static Layout of(Fields top) {
    CaseFiles.requireSchema(top, SCHEMA);
    Map<String, Struct> structs = new LinkedHashMap<>();
    Fields all = top.object("structs", "structs");
    for (String struct : all.object().members().keySet()) {
      structs.put(struct, struct(all.object(struct, "struct " + struct)));
    }
    return new Layout(
        top.text("name"),
        structs,
        enums(top.object("enums", "enums")),
        wordZero(top.object("wordZero", "wordZero")),
        top.has("tails") ? tails(top.object("tails", "tails")) : null);
  }

  private static Struct struct(Fields f) {
    Map<String, Field> fields = new LinkedHashMap<>();
    f.need("fields");
    for (Fields field : f.list("fields", "a field", one -> one)) {
      fields.put(
          field.text("name"),
          new Field(field.small("offset"), field.small("size"), field.text("type")));
    }
    return new Struct(f.small("size"), fields);
  }

  private static Map<String, Map<String, Long>> enums(Fields f) {
    Map<String, Map<String, Long>> enums = new LinkedHashMap<>();
    for (String name : f.object().members().keySet()) {
      Fields numbers = f.object(name, "enum " + name);
      Map<String, Long> values = new LinkedHashMap<>();
      for (String constant : numbers.object().members().keySet()) {
        values.put(constant, numbers.number(constant));
      }
      enums.put(name, values);
    }
    return enums;
  }

  private static WordZero wordZero(Fields f) {
    return new WordZero(
        f.small("nodeShift"),
        f.small("nodeBits"),
        f.small("zoneShift"),
        f.small("zoneBits"),
        f.small("lastCpupidShift"),
        f.small("lastCpupidBits"));
  }

  private static Tails tails(Fields f) {
    return new Tails(f.small("minOrder"), f.small("maxOrder"), f.small("entries"));
  }
}
