// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

/** Writes JSON, two blanks for each level. Keys and values come in the order of the calls. */
public final class Json {
  private final StringBuilder out = new StringBuilder();
  private int depth;
  private boolean first = true;
  private boolean afterKey;

  /** Starts an object. */
  public Json object() {
    return open('{');
  }

  /** Starts an object under {@code key}. */
  public Json object(String key) {
    return key(key).open('{');
  }

  /** Starts a list under {@code key}. */
  public Json list(String key) {
    return key(key).open('[');
  }

  /** Ends the innermost object. */
  public Json endObject() {
    return close('}');
  }

  /** Ends the innermost list. */
  public Json endList() {
    return close(']');
  }

  /** A number under {@code key}. */
  public Json put(String key, long value) {
    return key(key).raw(Long.toString(value));
  }

  /** A truth value under {@code key}. */
  public Json put(String key, boolean value) {
    return key(key).raw(Boolean.toString(value));
  }

  /** A text under {@code key}. */
  public Json put(String key, String value) {
    return key(key).raw(quote(value));
  }

  /** An unsigned number as text in hexadecimal with 0x. */
  public Json putHex(String key, long value) {
    return put(key, "0x" + Long.toHexString(value));
  }

  /** A text in a list. */
  public Json add(String value) {
    return raw(quote(value));
  }

  /** What has been written. */
  @Override
  public String toString() {
    return out.toString();
  }

  private Json key(String key) {
    separate();
    out.append(quote(key)).append(": ");
    afterKey = true;
    return this;
  }

  private Json raw(String text) {
    separate();
    out.append(text);
    return this;
  }

  private Json open(char bracket) {
    separate();
    out.append(bracket);
    depth++;
    first = true;
    return this;
  }

  private Json close(char bracket) {
    depth--;
    if (!first) {
      newLine();
    }
    out.append(bracket);
    first = false;
    return this;
  }

  private void separate() {
    if (afterKey) {
      afterKey = false;
      return;
    }
    if (depth > 0) {
      if (!first) {
        out.append(',');
      }
      newLine();
    }
    first = false;
  }

  private void newLine() {
    out.append('\n').append("  ".repeat(depth));
  }

  private static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        quoted.append('\\').append(c);
      } else if (c < ' ') {
        quoted.append("\\u%04x".formatted((int) c));
      } else {
        quoted.append(c);
      }
    }
    return quoted.append('"').toString();
  }
}
