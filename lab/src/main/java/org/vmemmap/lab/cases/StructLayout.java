// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Lays a C structure out in memory as the 64-bit ABIs of all three architectures do: every member at
 * the next multiple of its alignment, the members of a union at the same place, the whole padded to
 * the largest alignment.
 *
 * <pre>
 *   { int a; union { long b; int c; }; char d[3]; }      0  a   8  b, c   16 d[0..2]   size 24
 * </pre>
 */
final class StructLayout {
  /**
   * A type with its place in memory.
   *
   * @param name its name in C
   * @param size bytes
   * @param align bytes
   * @param members of a structure, by name, those of its members with a dot
   */
  record CType(String name, int size, int align, Map<String, Layout.Field> members) {
    /** A type whose inside does not matter. */
    static CType opaque(String name, int size, int align) {
      return new CType(name, size, align, Map.of());
    }
  }

  private final Map<String, Layout.Field> members = new LinkedHashMap<>();
  private final boolean union;
  private int end;
  private int align = 1;

  private StructLayout(boolean union) {
    this.union = union;
  }

  /** The structure with the members that {@code members} adds, in their order. */
  static CType of(String name, Consumer<StructLayout> members) {
    StructLayout struct = new StructLayout(false);
    members.accept(struct);
    return struct.type(name);
  }

  private CType type(String name) {
    return new CType(name, up(end, align), align, Map.copyOf(members));
  }

  private static int up(int value, int align) {
    return (value + align - 1) / align * align;
  }

  /** Room for {@code size} bytes; returns their offset. */
  private int place(int size, int memberAlign) {
    int offset = union ? 0 : up(end, memberAlign);
    align = Math.max(align, memberAlign);
    end = Math.max(end, offset + size);
    return offset;
  }

  /** Adds a member, and with it the members that it has itself. */
  StructLayout field(String name, CType type) {
    int offset = place(type.size(), type.align());
    members.put(name, new Layout.Field(offset, type.size(), type.name()));
    inherit(name + ".", offset, type);
    return this;
  }

  /** Adds an array; 0 elements for one that has its length at run time. */
  StructLayout array(String name, CType type, int n) {
    int offset = place(type.size() * n, type.align());
    String text = type.name() + "[" + n + "]";
    members.put(name, new Layout.Field(offset, type.size() * n, text));
    return this;
  }

  /** Adds the members of a union without a name. */
  StructLayout union(Consumer<StructLayout> inside) {
    return nested(new StructLayout(true), inside);
  }

  /** Adds the members of a structure without a name. */
  StructLayout struct(Consumer<StructLayout> inside) {
    return nested(new StructLayout(false), inside);
  }

  private StructLayout nested(StructLayout part, Consumer<StructLayout> inside) {
    inside.accept(part);
    CType type = part.type("");
    inherit("", place(type.size(), type.align()), type);
    return this;
  }

  private void inherit(String prefix, int offset, CType type) {
    type.members()
        .forEach(
            (name, field) ->
                members.put(
                    prefix + name,
                    new Layout.Field(offset + field.offset(), field.size(), field.type())));
  }

  /** What follows begins at a multiple of {@code bytes}, and so does the structure. */
  StructLayout alignTo(int bytes) {
    end = place(0, bytes);
    return this;
  }
}
