// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;

/** A kernel command line as words, split and compared as the kernel does. */
public final class Cmdline {
  private Cmdline() {}

  /**
   * One parameter.
   *
   * @param name what stands before the first {@code =}
   * @param value what stands behind it; null without a {@code =}
   */
  public record Param(String name, @Nullable String value) {
    /** The parameter as it was written. */
    public String word() {
      return value == null ? name : name + "=" + value;
    }

    /** The value, or the empty string. */
    public String text() {
      return value == null ? "" : value;
    }

    /** {@code parameq()}: names are equal when they differ only in - and _. */
    @Kernel(file = "kernel/params.c", symbol = "parameq")
    public boolean is(String other) {
      return name.replace('-', '_').equals(other.replace('-', '_'));
    }
  }

  /**
   * Splits a line at blanks outside double quotes; stops at {@code --}, which ends the kernel's
   * part.
   */
  @Kernel(file = "lib/cmdline.c", symbol = "next_arg")
  public static List<String> words(String line) {
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    boolean quoted = false;
    for (int i = 0; i <= line.length(); i++) {
      char c = i < line.length() ? line.charAt(i) : ' ';
      if (c == '"') {
        quoted = !quoted;
      } else if ((quoted && i < line.length()) || !Character.isWhitespace(c)) {
        word.append(c);
      } else if (word.length() > 0) {
        if (word.toString().equals("--")) {
          return words;
        }
        words.add(word.toString());
        word.setLength(0);
      }
    }
    return words;
  }

  /** The words as parameters. */
  public static List<Param> params(List<String> words) {
    List<Param> params = new ArrayList<>();
    for (String word : words) {
      int equals = word.indexOf('=');
      params.add(
          equals < 0
              ? new Param(word, null)
              : new Param(word.substring(0, equals), word.substring(equals + 1)));
    }
    return params;
  }
}
