//! Requests to copy, in the languages that people call from.

use maud::{Markup, html};

/// A request to a model, ready to be pasted.
pub(super) struct Snippet<'a> {
    /// How the gateway is reached, such as `https://gateway.example`.
    pub(super) origin: &'a str,
    /// The model.
    pub(super) model: &'a str,
}

impl Snippet<'_> {
    /// For a shell.
    pub(super) fn curl(&self) -> String {
        let Snippet { origin, model } = self;
        format!(
            "curl {origin}/api/v1/chat/completions \\\n  -H \"Authorization: Bearer $TURNPIKE_KEY\" \\\n  -H \"Content-Type: application/json\" \\\n  -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
        )
    }

    /// With OpenAI's package for Python.
    pub(super) fn python(&self) -> String {
        let Snippet { origin, model } = self;
        format!(
            "import os\nfrom openai import OpenAI\n\nclient = OpenAI(\n    base_url=\"{origin}/api/v1\",\n    api_key=os.environ[\"TURNPIKE_KEY\"],\n)\nanswer = client.chat.completions.create(\n    model=\"{model}\",\n    messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}],\n)\nprint(answer.choices[0].message.content)"
        )
    }

    /// With OpenAI's package for JavaScript.
    pub(super) fn javascript(&self) -> String {
        let Snippet { origin, model } = self;
        format!(
            "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{\n  baseURL: \"{origin}/api/v1\",\n  apiKey: process.env.TURNPIKE_KEY,\n}});\nconst answer = await client.chat.completions.create({{\n  model: \"{model}\",\n  messages: [{{ role: \"user\", content: \"Hello\" }}],\n}});\nconsole.log(answer.choices[0].message.content);"
        )
    }

    /// All of them, one open at a time; browsers close the others of one name by themselves.
    pub(super) fn all(&self) -> Markup {
        html! {
            @for (index, (language, text)) in [("curl", self.curl()), ("Python", self.python()), ("JavaScript", self.javascript())].iter().enumerate() {
                details.snippet name="snippet" open[index == 0] {
                    summary { (language) }
                    (copyable(&format!("snippet-{index}"), text))
                }
            }
        }
    }
}

/// Text to copy, with a button for it. The button shows itself where there is script.
pub(super) fn copyable(id: &str, text: &str) -> Markup {
    html! {
        div.code {
            pre tabindex="0" { code id=(id) { (text) } }
            button.small type="button" data-copy=(format!("#{id}")) hidden { "Copy" }
        }
    }
}
