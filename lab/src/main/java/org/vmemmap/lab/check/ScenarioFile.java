// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Cmdline;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.cases.Fields;
import org.vmemmap.lab.cases.JsonNode;
import org.vmemmap.lab.cases.JsonParser;
import org.vmemmap.lab.report.Json;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Series;

/**
 * A scenario as a file.
 *
 * <pre>
 *   {
 *     "schema": "vmemmap-scenario/1",
 *     "name": "...", "about": "...",
 *     "world": "x86-64-4",                  kind of machine
 *     "at": "49",                           patches of the series, or a released kernel
 *     "structPage": 64, "deferredInit": true, "debugVm": false,
 *     "ram": [{"start": "0x0", "end": "0x8000000", "node": 0}],
 *     "softReserved": [], "pmem": [], "deviceMemory": [],
 *     "cmdline": "hugetlb_free_vmemmap=on",
 *     "failing": "only 7",                  fallible steps of boot and steps; may be absent
 *     "failBoot": true,                     those of the boot count, too
 *     "strict": true,                       each step must succeed when nothing is made to fail
 *     "steps": ["echo 4 &gt; /proc/sys/vm/nr_hugepages # failing from 2"]
 *   }
 * </pre>
 */
public final class ScenarioFile {
  /** The schema that is read. */
  public static final String SCHEMA = "vmemmap-scenario/1";
  private static final Set<String> KEYS =
      Set.of(
          "schema", "name", "about", "world", "at", "structPage", "deferredInit", "debugVm", "ram",
          "softReserved", "pmem", "deviceMemory", "cmdline", "failing", "failBoot", "strict", "steps");

  private final String file;
  private final Fields fields;

  private ScenarioFile(String file, Fields fields) {
    this.file = file;
    this.fields = fields;
  }

  /** The file's text. */
  public static String text(Scenario scenario) {
    MachineSpec spec = scenario.spec();
    Json json = new Json().object();
    json.put("schema", SCHEMA).put("name", scenario.name()).put("about", scenario.about());
    json.put("world", scenario.world().name()).put("at", spec.series().name());
    json.put("structPage", spec.config().sizeofStructPage());
    json.put("deferredInit", spec.config().deferredStructPageInit());
    json.put("debugVm", spec.config().debugVm());
    ranges(json, "ram", spec.ram());
    ranges(json, "softReserved", spec.softReserved());
    ranges(json, "pmem", spec.pmem());
    ranges(json, "deviceMemory", spec.deviceMemory());
    json.put("cmdline", String.join(" ", spec.cmdline()));
    if (!scenario.failing().equals(Selection.NONE)) {
      json.put("failing", scenario.failing().text());
    }
    json.put("failBoot", scenario.failBoot()).put("strict", scenario.strict()).list("steps");
    scenario.steps().forEach(step -> json.add(step.text()));
    return json.endList().endObject().toString();
  }

  private static void ranges(Json json, String key, List<Ram> ranges) {
    json.list(key);
    for (Ram range : ranges) {
      json.object().putHex("start", range.start()).putHex("end", range.end());
      json.put("node", range.node()).endObject();
    }
    json.endList();
  }

  /**
   * Reads a file.
   *
   * @throws BadInput in one line, with the place and what would be right
   */
  public static Scenario read(Path path) {
    String text;
    try {
      text = Files.readString(path, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new BadInput(path + ": cannot be read, wanted a scenario file");
    }
    return parse(path.toString(), text);
  }

  /** Reads text; {@code file} is for messages. */
  static Scenario parse(String file, String text) {
    Fields fields = Fields.of(file, JsonParser.parse(file, text), "the scenario");
    return new ScenarioFile(file, fields).scenario();
  }

  private Scenario scenario() {
    if (!fields.text("schema").equals(SCHEMA)) {
      throw fields.wrong("schema", "\"" + SCHEMA + "\"");
    }
    for (String key : fields.keys()) {
      if (!KEYS.contains(key)) {
        throw fields.wrong(key, "no such field");
      }
    }
    World world = at("world", () -> World.of(fields.text("world")));
    if (ranges("ram").isEmpty()) {
      throw fields.wrong("ram", "at least one range");
    }
    List<String> cmdline = Cmdline.words(fields.text("cmdline"));
    MachineSpec plain = at("ram", () -> world.spec(memory(), cmdline));
    MachineSpec spec = at("structPage", () -> plain.withConfig(config(plain.config())));
    Selection failing =
        fields.has("failing")
            ? at("failing", () -> Selection.parse(fields.text("failing")))
            : Selection.NONE;
    return new Scenario(
        fields.text("name"), fields.text("about"), world, spec, steps(spec),
        fields.boolOr("strict", false), fields.boolOr("failBoot", false), failing);
  }

  private MemoryRanges memory() {
    return MemoryRanges.ofRam(ranges("ram"))
        .with(Kind.SOFT_RESERVED, ranges("softReserved"))
        .with(Kind.PMEM, ranges("pmem"))
        .with(Kind.DEVICE, ranges("deviceMemory"));
  }

  private MmConfig config(MmConfig plain) {
    return plain
        .withSizeofStructPage(fields.small("structPage"))
        .withDeferredStructPageInit(fields.bool("deferredInit"))
        .withDebugVm(fields.bool("debugVm"))
        .withSeries(at("at", () -> series(fields.text("at"))));
  }

  private static Series series(String text) {
    try {
      return Series.named(text);
    } catch (IllegalArgumentException e) {
      throw new BadInput("\"at\" is \"" + text + "\": wanted 0 to 49, 7.1, 7.2 or 7.3");
    }
  }

  private List<Ram> ranges(String key) {
    return fields.list(
        key,
        "a range of " + key,
        range -> {
          long start = range.hex("start");
          long end = range.hex("end");
          if (end <= start || start < 0) {
            throw range.wrong("end", "an address behind start");
          }
          return new Ram(start, end, range.small("node"));
        });
  }

  private List<Step> steps(MachineSpec spec) {
    List<Step> steps = new ArrayList<>();
    for (JsonNode node : fields.nodes("steps")) {
      if (!(node instanceof JsonNode.Text text)) {
        throw JsonParser.at(file, node.pos(), "a step is " + node.kind() + "; wanted a string");
      }
      steps.add(placed(node, () -> step(text.value(), spec)));
    }
    return steps;
  }

  private static Step step(String text, MachineSpec spec) {
    Step step = Step.parse(text);
    Workbench.requireRoom(step, spec);
    return step;
  }

  private interface Reading<T> {
    T read();
  }

  /** Adds the place of {@code key} to what is wrong. */
  private <T> T at(String key, Reading<T> reading) {
    return placed(fields.need(key), reading);
  }

  private <T> T placed(JsonNode node, Reading<T> reading) {
    try {
      return reading.read();
    } catch (BadInput | IllegalArgumentException e) {
      String message = String.valueOf(e.getMessage());
      if (message.startsWith(file + ":")) {
        throw e;
      }
      throw JsonParser.at(file, node.pos(), message);
    }
  }
}
