"""`kimi-vl plan`: a table for a person, one document for a program, one line for a mistake."""

import json

import pytest

from kimi_vl.cli.main import main


def test_a_24_gb_card_in_words(capsys):
    assert main(["plan", "--precision", "int8", "--cache", "fp8", "--context", "128K", "--on", "rtx 4090", "--why"]) == 0
    out = capsys.readouterr().out
    assert "16,407,656,048" in out
    assert "weights 17.29 + cache 2.04" in out
    assert "15,552 bytes a token" in out
    assert "RTX 4090   25.8   23.1  131,072" in out
    assert "8.9 times as much" in out


def test_the_same_as_a_document(capsys):
    assert main(["plan", "--precision", "int4", "--on", "16GB", "--on", "h100", "--image", "2*640x480", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    small, large = document["verdicts"]
    assert (small["machine"]["name"], small["fits"], large["fits"]) == ("16GB", False, True)
    assert large["memory"]["total"] > sum(document["memory"]["weights"].values())
    assert document["seen"]["pictures"] == 2
    assert document["cheapest"] is None  # an H100 has no price at launch
    assert sum(document["parameters"].values()) == 16_407_656_048


def test_nano_on_this_machine(capsys):
    assert main(["plan", "--model", "nano", "--this-machine", "--batch", "2"]) == 0
    out = capsys.readouterr().out
    assert "31,305,748" in out
    assert "does not fit" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--on", "RTX 4900"], "the nearest are RTX 4090"),
        (["--context", "lots"], "is no number of tokens"),
        (["--context=-5"], "context is -5"),
        (["--batch", "0"], "batch is 0"),
        (["--part", "vision"], "write a part and its precision"),
        (["--precision", "Q4KM"], "did you mean 'Q4_K_M'"),
        (["--image", "big"], "write width and height"),
        (["--model", "thinkng"], "did you mean 'thinking'"),
        (["--cache", "int2"], "'bf16' or 'fp8'"),
        (["--video", "nan"], "video_s is nan"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, capsys):
    assert main(["plan", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1
