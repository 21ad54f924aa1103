// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import java.io.EOFException;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vmemmap.lab.boot.BadInput;

/**
 * Reads JSON into a tree with positions.
 *
 * <p>The tokens are Gson's. Its reader tells its position only in the text that it prints of itself
 * and of its errors, so the position is read from there; {@code JsonParserTest} notices if that
 * ever changes.
 */
public final class JsonParser {
  private static final Pattern POSITION = Pattern.compile("at line (\\d+) column (\\d+)");
  private static final Pattern ADVICE = Pattern.compile("^Use JsonReader.*|^.*BugReport.*");

  private final String file;
  private final JsonReader reader;

  private JsonParser(String file, String text) {
    this.file = file;
    this.reader = new JsonReader(new StringReader(text));
    this.reader.setStrictness(Strictness.STRICT);
  }

  /**
   * Parses one document.
   *
   * @param file name for messages
   * @throws BadInput one line with file, line and column when the text is not JSON
   */
  public static JsonNode parse(String file, String text) {
    JsonParser parser = new JsonParser(file, text);
    try {
      JsonNode root = parser.value();
      if (parser.reader.peek() != JsonToken.END_DOCUMENT) {
        throw parser.problem(
            parser.here(0), "something follows the end of the document; wanted one JSON value");
      }
      return root;
    } catch (EOFException e) {
      throw parser.problem(
          parser.here(0), "the file ends too early; wanted a closing quote, bracket or brace");
    } catch (MalformedJsonException | NumberFormatException | IllegalStateException e) {
      throw parser.malformed(String.valueOf(e.getMessage()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The error of this file at {@code pos}. */
  private BadInput problem(JsonNode.Pos pos, String text) {
    return at(file, pos, text);
  }

  /** An error at a place of a file, in the one form that all of them have. */
  public static BadInput at(String file, JsonNode.Pos pos, String text) {
    return new BadInput(file + ":" + pos.line() + ":" + pos.column() + ": " + text);
  }

  private BadInput malformed(String message) {
    String first = message.lines().findFirst().orElse("");
    Matcher place = POSITION.matcher(first);
    JsonNode.Pos pos = here(0);
    if (place.find()) {
      pos = new JsonNode.Pos(Integer.parseInt(place.group(1)), Integer.parseInt(place.group(2)));
      first = first.substring(0, place.start()).strip();
    }
    String what = first.isEmpty() || ADVICE.matcher(first).matches() ? "" : " (" + first + ")";
    return problem(pos, "not JSON" + what + "; wanted a value, a comma or a closing bracket");
  }

  /** The reader's position, {@code back} columns before. */
  private JsonNode.Pos here(int back) {
    Matcher place = POSITION.matcher(reader.toString());
    if (!place.find()) {
      return new JsonNode.Pos(1, 1);
    }
    int column = Integer.parseInt(place.group(2)) - back;
    return new JsonNode.Pos(Integer.parseInt(place.group(1)), Math.max(column, 1));
  }

  private JsonNode value() throws IOException {
    JsonToken token = reader.peek();
    return switch (token) {
      case BEGIN_OBJECT -> object(here(1));
      case BEGIN_ARRAY -> list(here(1));
      case STRING -> new JsonNode.Text(here(1), reader.nextString());
      case NUMBER -> number(reader.nextString());
      case BOOLEAN -> bool();
      case NULL -> nothing();
      default -> throw problem(here(0), "found " + token + "; wanted a value");
    };
  }

  private JsonNode number(String text) {
    return new JsonNode.Num(here(text.length()), text);
  }

  private JsonNode bool() throws IOException {
    JsonNode.Pos behind = here(0);
    boolean value = reader.nextBoolean();
    int length = value ? 4 : 5;
    return new JsonNode.Bool(new JsonNode.Pos(behind.line(), behind.column() - length), value);
  }

  private JsonNode nothing() throws IOException {
    JsonNode.Pos pos = here(4);
    reader.nextNull();
    return new JsonNode.Null(pos);
  }

  private JsonNode list(JsonNode.Pos pos) throws IOException {
    List<JsonNode> items = new ArrayList<>();
    reader.beginArray();
    while (reader.hasNext()) {
      items.add(value());
    }
    reader.endArray();
    return new JsonNode.Arr(pos, items);
  }

  private JsonNode object(JsonNode.Pos pos) throws IOException {
    Map<String, JsonNode> members = new LinkedHashMap<>();
    reader.beginObject();
    while (reader.hasNext()) {
      JsonNode.Pos keyPos = here(1);
      String key = reader.nextName();
      if (members.put(key, value()) != null) {
        throw problem(keyPos, "the key \"" + key + "\" stands twice in one object; wanted it once");
      }
    }
    reader.endObject();
    return new JsonNode.Obj(pos, members);
  }
}
