// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import org.vmemmap.lab.cases.ReplayResult.CaseResult;

/** Prints what a replay found. */
final class ReplayPrinter {
  private ReplayPrinter() {}

  /** One case: a line, and two more for each mismatch. */
  static void print(CaseResult one, PrintWriter out) {
    out.printf(
        "%-4s %s: %s, %s%n",
        one.mismatches().isEmpty() ? "ok" : "FAIL",
        one.name(),
        count(one.facts(), "fact"),
        count(one.mismatches().size(), "mismatch"));
    for (Mismatch m : one.mismatches()) {
      String where = m.step() < 0 ? "case" : "step " + m.step() + " \"" + m.label() + "\"";
      out.printf("     %s: %s%n", where, m.path());
      out.printf("       kernel %s%n       model  %s%n", m.expected(), m.actual());
    }
    out.flush();
  }

  /** The last line. */
  static void printTotal(ReplayResult all, PrintWriter out) {
    out.printf(
        "%d cases, %d facts, %d mismatches%n", all.cases().size(), all.facts(), all.mismatches());
  }

  private static String count(long n, String what) {
    return n + " " + what + (n == 1 ? "" : what.endsWith("h") ? "es" : "s");
  }

  /** Everything as one JSON document. */
  static void printJson(ReplayResult all, PrintWriter out) {
    try {
      JsonWriter json = new JsonWriter(out);
      json.setIndent(" ");
      json.beginObject().name("cases").beginArray();
      for (CaseResult one : all.cases()) {
        json.beginObject();
        json.name("name").value(one.name());
        json.name("facts").value(one.facts());
        json.name("mismatches").beginArray();
        for (Mismatch m : one.mismatches()) {
          mismatch(m, json);
        }
        json.endArray().endObject();
      }
      json.endArray();
      json.name("facts").value(all.facts());
      json.name("mismatches").value(all.mismatches());
      json.endObject();
      json.flush();
      out.println();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void mismatch(Mismatch m, JsonWriter json) throws IOException {
    json.beginObject();
    json.name("step").value(m.step());
    json.name("label").value(m.label());
    json.name("path").value(m.path());
    json.name("expected").value(m.expected());
    json.name("actual").value(m.actual());
    json.endObject();
  }
}
