// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.cases.ReplayResult.CaseResult;

/**
 * Compares the layouts of a real kernel with the model's, fact by fact. What the model does not know
 * is a mismatch; of an enum both sides must have the same constants.
 */
final class LayoutComparer {
  private static final String MISSING = "(none)";

  /** The files were made by two tools: one puts an array's length behind the name. */
  private static final Pattern ARRAY = Pattern.compile("(.*)\\[(\\d*)]");

  private final List<Mismatch> mismatches = new ArrayList<>();
  private long facts;

  private LayoutComparer() {}

  /** Compares the layouts of a file with those of the model's kernel. */
  static CaseResult compare(Layout kernel, Layout model) {
    LayoutComparer all = new LayoutComparer();
    kernel.structs().forEach((name, one) -> all.struct(name, one, model.structs().get(name)));
    kernel.enums().forEach((name, one) -> all.constants(name, one, model.enums().get(name)));
    all.wordZero(kernel.wordZero(), model.wordZero());
    all.tails(kernel.tails(), model.tails());
    return new CaseResult(kernel.name(), all.facts, all.mismatches);
  }

  private void fact(String path, @Nullable Object expected, @Nullable Object actual) {
    facts++;
    if (!Objects.equals(expected, actual)) {
      mismatches.add(new Mismatch(-1, "", path, text(expected), text(actual)));
    }
  }

  private static String text(@Nullable Object value) {
    return value == null ? MISSING : value.toString();
  }

  private void struct(String name, Layout.Struct kernel, Layout.@Nullable Struct model) {
    String path = "structs." + name;
    fact(path + ".size", kernel.size(), model == null ? null : model.size());
    kernel
        .fields()
        .forEach(
            (field, expected) -> {
              Map.Entry<String, Layout.Field> plain = plain(field, expected);
              Layout.Field actual = model == null ? null : model.fields().get(plain.getKey());
              String at = path + "." + field;
              fact(at + ".offset", expected.offset(), actual == null ? null : actual.offset());
              fact(at + ".size", expected.size(), actual == null ? null : actual.size());
              fact(at + ".type", plain.getValue().type(), actual == null ? null : actual.type());
            });
  }

  /** The field with its length in the type, and without "const". */
  private static Map.Entry<String, Layout.Field> plain(String name, Layout.Field field) {
    String type = field.type().replace("const ", "");
    Matcher array = ARRAY.matcher(name);
    if (!array.matches()) {
      return Map.entry(name, new Layout.Field(field.offset(), field.size(), type));
    }
    int n = array.group(2).isEmpty() ? 0 : Integer.parseInt(array.group(2));
    String whole = type + "[" + n + "]";
    return Map.entry(array.group(1), new Layout.Field(field.offset(), field.size(), whole));
  }

  private void wordZero(Layout.WordZero kernel, Layout.WordZero model) {
    fact("wordZero.nodeShift", kernel.nodeShift(), model.nodeShift());
    fact("wordZero.nodeBits", kernel.nodeBits(), model.nodeBits());
    fact("wordZero.zoneShift", kernel.zoneShift(), model.zoneShift());
    fact("wordZero.zoneBits", kernel.zoneBits(), model.zoneBits());
    fact("wordZero.lastCpupidShift", kernel.lastCpupidShift(), model.lastCpupidShift());
    fact("wordZero.lastCpupidBits", kernel.lastCpupidBits(), model.lastCpupidBits());
  }

  private void tails(Layout.@Nullable Tails kernel, Layout.@Nullable Tails model) {
    if (kernel == null || model == null) {
      fact("tails", kernel, model);
      return;
    }
    fact("tails.minOrder", kernel.minOrder(), model.minOrder());
    fact("tails.maxOrder", kernel.maxOrder(), model.maxOrder());
    fact("tails.entries", kernel.entries(), model.entries());
  }

  private void constants(String name, Map<String, Long> kernel, @Nullable Map<String, Long> model) {
    Map<String, Long> ours = model == null ? Map.of() : model;
    TreeSet<String> all = new TreeSet<>(kernel.keySet());
    all.addAll(ours.keySet());
    for (String constant : all) {
      fact("enums." + name + "." + constant, kernel.get(constant), ours.get(constant));
    }
  }
}
