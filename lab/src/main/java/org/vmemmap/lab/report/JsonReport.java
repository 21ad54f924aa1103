// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.List;
import java.util.Map;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.Invariants;

/**
 * The report of {@code boot --json}. Addresses are strings in hexadecimal, sizes bytes, counts
 * frames.
 *
 * <pre>
 *   machine    arch levels pageSize sizeofStructPage memoryBlockSize cmdline[]
 *              ram[] softReserved[] pmem[]: start end node
 *   asked[]    what was put on the machine without being asked for
 *   terminal[] what the actions of --do showed
 *   log[]      kernel messages
 *   sections[] first count start end node zones[] memmapPages pmdLeaves pteLeaves flags[]
 *              subsections
 *   memmap     mapped distinct readOnly pmdLeaves pteLeaves tables{level}
 *              nr_memmap_boot_pages nr_memmap_pages
 *   hugepages[] size total optimized perNode{node} before after sharedTails pageTables net
 *   devices[]  name start size align map altmapPages before after sharedTails pageTables net
 *   beside     one other, the names of two kernels; rows[]: name one other (absent when not asked)
 *   verified   checks violations rules{rule} violated[]: rule text
 * </pre>
 */
public final class JsonReport {
  private JsonReport() {}

  /** Writes {@code report}. */
  public static String of(BootReport report) {
    Json json = new Json().object();
    machine(json, report.spec());
    texts(json, "asked", report.asked());
    texts(json, "terminal", report.terminal());
    texts(json, "log", report.log());
    json.list("sections");
    report.sections().forEach(row -> section(json, row));
    json.endList();
    memmap(json, report.memmap());
    json.list("hugepages");
    report.hugepages().forEach(row -> hugepages(json, row));
    json.endList().list("devices");
    report.devices().forEach(row -> device(json, row));
    json.endList();
    Beside beside = report.beside();
    if (beside != null) {
      beside(json, beside);
    }
    verified(json, report.verified());
    return json.endObject().toString();
  }

  private static void machine(Json json, MachineSpec spec) {
    json.object("machine").put("arch", spec.arch()).put("levels", spec.levels());
    json.put("pageSize", spec.profile().pageSize()).put("sizeofStructPage", spec.config().sizeofStructPage());
    json.put("memoryBlockSize", spec.memoryBlockSize());
    texts(json, "cmdline", spec.cmdline());
    ranges(json, "ram", spec.ram());
    ranges(json, "softReserved", spec.softReserved());
    ranges(json, "pmem", spec.pmem());
    json.endObject();
  }

  private static void ranges(Json json, String key, List<Ram> ranges) {
    json.list(key);
    for (Ram range : ranges) {
      json.object().putHex("start", range.start()).putHex("end", range.end());
      json.put("node", range.node()).endObject();
    }
    json.endList();
  }

  private static void texts(Json json, String key, List<String> texts) {
    json.list(key);
    texts.forEach(json::add);
    json.endList();
  }

  private static void section(Json json, BootReport.SectionRow row) {
    json.object().put("first", row.first()).put("count", row.count());
    json.putHex("start", row.start()).putHex("end", row.end()).put("node", row.node());
    texts(json, "zones", row.zones());
    json.put("memmapPages", row.memmapPages());
    json.put("pmdLeaves", row.pmdLeaves()).put("pteLeaves", row.pteLeaves());
    texts(json, "flags", row.flags());
    json.putHex("subsections", row.subsections()).endObject();
  }

  private static void memmap(Json json, BootReport.MemmapRow row) {
    json.object("memmap").put("mapped", row.mapped()).put("distinct", row.distinct());
    json.put("readOnly", row.readOnly());
    json.put("pmdLeaves", row.pmdLeaves()).put("pteLeaves", row.pteLeaves());
    json.object("tables");
    row.tables().forEach(json::put);
    json.endObject().put("nr_memmap_boot_pages", row.bootPages());
    json.put("nr_memmap_pages", row.runtimePages()).endObject();
  }

  private static void hugepages(Json json, BootReport.HugeRow row) {
    json.object().put("size", row.size()).put("total", row.total());
    json.put("optimized", row.optimized()).object("perNode");
    for (Map.Entry<Integer, Long> node : row.perNode().entrySet()) {
      json.put(String.valueOf(node.getKey()), node.getValue());
    }
    json.endObject();
    cost(json, row.cost());
    json.endObject();
  }

  private static void device(Json json, BootReport.DeviceRow row) {
    json.object().put("name", row.name()).putHex("start", row.start());
    json.put("size", row.size()).put("align", row.align()).put("map", row.map());
    json.put("altmapPages", row.altmapPages());
    cost(json, row.cost());
    json.endObject();
  }

  private static void cost(Json json, BootReport.Cost cost) {
    json.put("before", cost.before()).put("after", cost.after());
    json.put("sharedTails", cost.tails()).put("pageTables", cost.tables()).put("net", cost.net());
  }

  private static void beside(Json json, Beside beside) {
    json.object("beside").put("one", beside.one()).put("other", beside.other()).list("rows");
    for (Beside.Row row : beside.rows()) {
      json.object().put("name", row.name()).put("one", row.one());
      json.put("other", row.other()).endObject();
    }
    json.endList().endObject();
  }

  private static void verified(Json json, Invariants.Report verified) {
    json.object("verified").put("checks", verified.total());
    json.put("violations", verified.violations().size()).object("rules");
    verified.checks().forEach(json::put);
    json.endObject().list("violated");
    for (Invariants.Violation violation : verified.violations()) {
      json.object().put("rule", violation.rule()).put("text", violation.toString()).endObject();
    }
    json.endList().endObject();
  }
}
